"""A function with the four clients of this system's functions, on Lambda's Runtime API: the reference of `benches cold`."""

import http.client
import os

import boto3

clients = [boto3.client(service) for service in ("dynamodb", "ecs", "stepfunctions", "sns")]


def main():
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    connection.getresponse()


main()
