"""The part of ECS that the workers call and ministack has not: container instances, and tasks without Docker.

Answers on a port of its own; the recorder sends it what is signed for ECS.
"""

import json
import re
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Named as the simulator names its own, so that the judges hold the calls of both against the same stack.
ACCOUNT = "123456789012"
REGION = "us-east-1"
CLUSTER = "gpu-training"


def arn(rest):
    return f"arn:aws:ecs:{REGION}:{ACCOUNT}:{rest}"


class Fleet:
    def __init__(self):
        self.tasks = {}
        self.instances = {}
        self.calls = []
        self.lock = threading.Lock()
        fleet = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                action = self.headers["X-Amz-Target"].split(".")[-1]
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
                with fleet.lock:
                    fleet.calls.append((action, body))
                    operation = getattr(fleet, action, None)
                    status, answer = (200, operation(body)) if operation else (400, {"__type": "UnknownOperationException"})
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    # What happens to the fleet.

    def instance(self, ec2_id):
        """A new container instance; the answer is its ARN."""
        key = arn(f"container-instance/{CLUSTER}/{uuid.uuid4().hex}")
        self.instances[key] = {
            "containerInstanceArn": key,
            "ec2InstanceId": ec2_id,
            "status": "ACTIVE",
            "agentConnected": True,
            "registeredResources": [{"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-0"]}],
            "remainingResources": [{"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-0"]}],
            "attributes": [
                {"name": "ecs.instance-type", "value": "p5.48xlarge"},
                {"name": "ecs.availability-zone", "value": "us-east-1a"},
            ],
        }
        return key

    def task(self, instance, started_by="launcher"):
        key = arn(f"task/{CLUSTER}/{uuid.uuid4().hex}")
        self.tasks[key] = {
            "taskArn": key,
            "clusterArn": arn(f"cluster/{CLUSTER}"),
            "taskDefinitionArn": arn("task-definition/train:7"),
            "containerInstanceArn": instance,
            "group": "family:train",
            "startedBy": started_by,
            "desiredStatus": "RUNNING",
            "lastStatus": "RUNNING",
            "enableExecuteCommand": False,
            "createdAt": 1767582000.0,
            "overrides": {"containerOverrides": [{"name": "trainer", "environment": [{"name": "EPOCHS", "value": "3"}]}]},
            "containers": [{"name": "trainer", "lastStatus": "RUNNING"}],
            "tags": [{"key": "team", "value": "vision"}],
        }
        return key

    def stop(self, task, stop_code, reason, exit_code):
        self.tasks[task] |= {
            "desiredStatus": "STOPPED",
            "lastStatus": "STOPPED",
            "stopCode": stop_code,
            "stoppedReason": reason,
            "containers": [{"name": "trainer", "lastStatus": "STOPPED", "exitCode": exit_code}],
        }

    def called(self, action):
        return [body for name, body in self.calls if name == action]

    # The API.

    def DescribeTasks(self, body):
        found = [self.tasks[t] for t in body["tasks"] if t in self.tasks]
        missing = [{"arn": t, "reason": "MISSING"} for t in body["tasks"] if t not in self.tasks]
        return {"tasks": found, "failures": missing}

    def ListTasks(self, body):
        wanted = {
            "containerInstance": "containerInstanceArn",
            "startedBy": "startedBy",
        }
        found = [
            t["taskArn"]
            for t in self.tasks.values()
            if t["desiredStatus"] == body.get("desiredStatus", "RUNNING")
            and all(t[field] == body[member] for member, field in wanted.items() if member in body)
        ]
        return {"taskArns": found}

    def StopTask(self, body):
        # SIGTERM's code; the stop is at once.
        self.stop(body["task"], "UserInitiated", body.get("reason", ""), 143)
        return {"task": self.tasks[body["task"]]}

    def RunTask(self, body):
        wanted = body["placementConstraints"][0]["expression"].split("'")[1]
        for key, instance in self.instances.items():
            if instance["ec2InstanceId"] == wanted and instance["status"] == "ACTIVE":
                task = self.task(key, body.get("startedBy", ""))
                return {"tasks": [self.tasks[task]], "failures": []}
        return {"tasks": [], "failures": [{"reason": "MemberOf placement constraint unsatisfied."}]}

    def ListContainerInstances(self, body):
        marked = re.fullmatch(r"attribute:([^ ]+) == '([^']+)'", body.get("filter", ""))
        if marked:
            attribute = {"name": marked[1], "value": marked[2]}
            return {"containerInstanceArns": [i for i, kept in self.instances.items() if attribute in kept["attributes"]]}
        wanted = re.fullmatch(r"ec2InstanceId == '([^']+)'", body.get("filter", ""))
        found = [i for i, kept in self.instances.items() if not wanted or kept["ec2InstanceId"] == wanted[1]]
        return {"containerInstanceArns": found}

    def DescribeContainerInstances(self, body):
        found = [self.instances[i] for i in body["containerInstances"] if i in self.instances]
        return {"containerInstances": found, "failures": []}

    def PutAttributes(self, body):
        for attribute in body["attributes"]:
            kept = self.instances[attribute["targetId"]]["attributes"]
            kept[:] = [a for a in kept if a["name"] != attribute["name"]]
            kept.append({"name": attribute["name"], "value": attribute["value"]})
        return {"attributes": body["attributes"]}

    def DeleteAttributes(self, body):
        for attribute in body["attributes"]:
            kept = self.instances[attribute["targetId"]]["attributes"]
            kept[:] = [a for a in kept if a["name"] != attribute["name"]]
        return {"attributes": body["attributes"]}

    def UpdateContainerInstancesState(self, body):
        found = [self.instances[i] for i in body["containerInstances"]]
        for instance in found:
            instance["status"] = body["status"]
        return {"containerInstances": found, "failures": []}
