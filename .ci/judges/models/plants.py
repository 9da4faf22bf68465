"""Mistakes of each kind, made on purpose in recorded calls: every one must be found."""

import copy
import json

import limits


def plant(report, lines, judged, model):

    def first(service, action, part):
        calls = (line for line in lines if line["kind"] == "call" and part in line)
        return copy.deepcopy(next(call for call in calls if (call["service"], call["action"]) == (service, action)))

    def finds(name, line, rule):
        report.planted(name, any(key.endswith(f" {rule}") for key in judged([line]).counts))

    line = first("ecs", "RunTask", "answer")
    line["request"]["instanceType"] = "p5.48xlarge"
    finds("a request's member that the API does not have", line, "unknown")
    line = first("ecs", "DescribeTasks", "answer")
    line["answer"]["tasks"][0]["exitCode"] = 1
    finds("an answer's member that the API does not have", line, "unknown")
    line = first("ecs", "RunTask", "answer")
    del line["request"]["taskDefinition"]
    finds("a required member that is missing", line, "required")
    line = first("ecs", "RunTask", "answer")
    line["request"]["count"] = "1"
    finds("a number that is sent as a text", line, "type")
    line = first("ecs", "DescribeTasks", "answer")
    line["answer"]["tasks"][0]["stopCode"] = "ContainerExited"
    finds("a value that its enum does not have", line, "enum")
    line = first("ssm", "SendCommand", "answer")
    line["request"]["TimeoutSeconds"] = 5
    finds("a number out of its range", line, "range")
    line = first("ssm", "SendCommand", "answer")
    line["request"]["InstanceIds"] = ["i-0f3a", "n-0f3a"]
    finds("an id that is none", line, "pattern")
    line = first("ecs", "ListTasks", "answer")
    line["request"] = {"cluster": "training", "startedBy": "a", "desiredStatus": "RUNNING"}
    finds("a second filter beside startedBy", line, "limit")
    line = first("ecs", "DescribeTasks", "answer")
    line["request"]["tasks"] = ["a"] * 101
    finds("more tasks than one call takes", line, "limit")
    line = first("sns", "Publish", "answer")
    line["request"]["Subject"] = "two\nlines"
    finds("a subject of two lines", line, "limit")
    another = limits.Limit("ecs", "DescribeTasks", "tasks", "up to 1000 task IDs", None)
    report.planted("a limit that is documented otherwise", any(limits.misquoted(model, [another])))
    line = first("states", "StartExecution", "answer")
    line["request"]["name"] = "n" * 81
    finds("a text that is too long", line, "length")
    line = first("dynamodb", "GetItem", "answer")
    line["error"] = {"code": "ConditionalCheckFailedException", "status": 400}
    finds("an error that is another action's", line, "error")
    line["error"] = {"code": "ThrottlingException", "status": 503}
    finds("an error with another's HTTP status", line, "status")
    line = first("dynamodb", "UpdateItem", "answer")
    line["request"]["Key"] = {"job_id": {"S": "a", "N": "1"}}
    finds("a value of two types at once", line, "union")
    line = first("sns", "Publish", "answer")
    line["request"]["Subjects"] = "a"
    finds("a form's field that the API does not have", line, "unknown")
    line = first("ecs", "StopTask", "answer")
    line["action"] = "StopTasks"
    finds("an operation that the service does not have", line, "operation")

    def history(type_, text):
        events = (line for line in lines if line["kind"] == "history" and line["event"]["type"] == type_)
        return copy.deepcopy(next(line for line in events if text in json.dumps(line)))

    line = history("TaskFailed", "")
    line["event"]["type"] = "TaskBroken"
    finds("a history event of no type", line, "enum")
    line = history("TaskScheduled", "runTask.sync")
    details = line["event"]["taskScheduledEventDetails"]
    details["parameters"] = details["parameters"].replace('"Cluster"', '"cluster"')
    finds("an integration's argument in the API's own case", line, "case")
    details["parameters"] = details["parameters"].replace('"cluster"', '"Clusters"')
    finds("an integration's argument that the API does not have", line, "unknown")
