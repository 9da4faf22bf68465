"""Which error codes an operation may answer with, and with which HTTP status."""

from botocore.retries.standard import (
    ThrottledRetryableChecker,
    TransientRetryableChecker,
)

# Codes that the SDKs take for throttling or a passing fault whoever sends them.
ANYBODY = {*ThrottledRetryableChecker._THROTTLED_ERROR_CODES, *TransientRetryableChecker._TRANSIENT_ERROR_CODES}

# Errors common to the actions of all services, and their HTTP status where it is one for all
# (CommonErrors, in the API reference of each service; access is denied with 400 by awsJson services and 403 by others).
COMMON = {
    "AccessDeniedException": {400, 403},
    "ExpiredTokenException": {400, 403},
    "IncompleteSignature": {400, 403},
    "InternalFailure": {500},
    "InvalidAction": {400},
    "InvalidClientTokenId": {403},
    "MalformedHttpRequestException": {400},
    "NotAuthorized": {400, 401},
    "OptInRequired": {403},
    "RequestAbortedException": {400},
    "RequestEntityTooLargeException": {413},
    "RequestExpired": {400},
    "RequestTimeoutException": {408},
    "ServiceUnavailable": {503},
    "ThrottlingException": {400},
    "UnknownOperationException": {404},
    "UnrecognizedClientException": {400, 403},
    "ValidationError": {400},
}

# What a service documents and its model does not have.
DOCUMENTED = {
    # DynamoDB developer guide, Programming.Errors.
    "dynamodb": {"ValidationException": {400}, "ServiceUnavailable": {503}},
    # awsJson services name a request that breaks a constraint so (API reference, ValidationException).
    "stepfunctions": {"ValidationException": {400}},
    "ssm": {"ValidationException": {400}},
    # EC2 models no errors; API reference, errors-overview.
    "ec2": {
        "IncorrectInstanceState": {400},
        "InsufficientInstanceCapacity": {500},
        "InternalError": {500},
        "InvalidInstanceID.Malformed": {400},
        "InvalidInstanceID.NotFound": {400},
        "RequestLimitExceeded": {503},
        "UnauthorizedOperation": {403},
        "Unavailable": {503},
        "UnsupportedOperation": {400},
    },
}


def declared(service, operation):
    """Code -> HTTP statuses."""
    codes = dict(COMMON) | DOCUMENTED.get(service.service_name, {})
    for shape in operation.error_shapes:
        error = shape.metadata.get("error", {})
        code = error.get("code", shape.name)
        status = error.get("httpStatusCode")
        # awsJson models name none: a fault of the service comes with 500, any other error with 400
        # (Smithy, aws-json-1_0-protocol; the names are those that the services give to their faults).
        codes[code] = {status or (500 if code.startswith(("Internal", "Server")) else 400)}
    return codes


def check(service, operation, error):
    """Findings as a shape's: (path, rule, detail)."""
    codes = declared(service, operation)
    code, status = error["code"], error["status"]
    # A fault plan stands for what is between as well: a gateway answers 5xx with any code, or with none.
    if error.get("injected") and (code in ANYBODY or status >= 500):
        return []
    if code not in codes:
        return [("", "error", f"{code} is no error of {operation.name}")]
    if status not in codes[code]:
        return [("", "status", f"{code} comes with HTTP {sorted(codes[code])}, not {status}")]
    return []
