"""Deploys infra/template.yaml with the real bootstraps into ministack, and watches recoveries; run.sh calls this."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
import zipfile
from pathlib import Path

import boto3
import yaml
from boto3.dynamodb.types import TypeDeserializer
from fleet import ACCOUNT, CLUSTER, REGION, Fleet, arn
from recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "tests/fixtures/events"
BOOTSTRAPS = ROOT / os.environ.get("E2E_BOOTSTRAPS", "target/lambda")
JOBS, INSTANCES = "hybrid-gpu-training-job", "ecs_container_instance"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gpu-recovery"


# ---------------------------------------------------------------- the template, as sam package leaves it


class Loader(yaml.SafeLoader):
    """Knows the short forms of CloudFormation's functions."""


def short_form(loader, tag, node):
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if tag == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", short_form)


def package(s3):
    """The template with the code and the definition in a bucket; nothing else is touched."""
    template = yaml.load((ROOT / "infra/template.yaml").read_text(encoding="utf-8"), Loader)
    s3.create_bucket(Bucket="deploy")

    def put(key, data):
        s3.put_object(Bucket="deploy", Key=key, Body=data)
        return {"Bucket": "deploy", "Key": key}

    # One program in all functions, as sam build leaves it.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, (BOOTSTRAPS / "bootstrap/bootstrap").read_bytes())
    code = put("bootstrap.zip", buffer.getvalue())
    functions = 0
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            assert resource["Metadata"]["BuildProperties"]["Binary"] == "bootstrap", resource
            properties["CodeUri"] = code
            functions += 1
        if resource["Type"] == "AWS::Serverless::StateMachine":
            definition = (ROOT / "infra" / properties["DefinitionUri"]).read_bytes()
            properties["DefinitionUri"] = put("recovery.asl.json", definition)
    print(f"{functions} functions of one bootstrap, {len(buffer.getvalue()) / 1e6:.1f} MB zipped")
    put("template.json", json.dumps(template).encode())
    return "deploy", "template.json"


# ---------------------------------------------------------------- the account


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, check, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


class Account:
    def __init__(self, log):
        self.fleet = Fleet()
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.recorder = Recorder(ROOT / "target/judges/e2e-calls.jsonl", self.endpoint, {"ecs": self.fleet.endpoint})
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SFN_", "LOCALSTACK_"))}
        environment |= {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "SFN_WAIT_SCALE": "0.02",
            "LAMBDA_EXECUTOR": "local",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AWS_ENDPOINT_URL": self.recorder.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(Path(__file__).with_name("engine.py"))], env=environment, stdout=log, stderr=log
        )
        wait_for("ministack answers", self.answers, 60)

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("ministack has ended; see target/e2e.log")
        try:
            return urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2).status == 200
        except OSError:
            return False

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.recorder.close()


class System:
    """The deployed system, and what a test does with it."""

    def __init__(self, account):
        self.account = account
        self.fleet = account.fleet
        self.dynamodb = account.client("dynamodb")
        self.states = account.client("stepfunctions")
        self.events = account.client("events")
        self.sqs = account.client("sqs")
        self.cloudformation = account.client("cloudformation")
        self.read = TypeDeserializer()
        self.jobs = 0

    def deploy(self):
        bucket, key = package(self.account.client("s3"))
        self.cloudformation.create_stack(
            StackName="gpu-recovery",
            TemplateURL=f"{self.account.endpoint}/{bucket}/{key}",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": "EcsClusterName", "ParameterValue": CLUSTER},
                {"ParameterKey": "Architecture", "ParameterValue": "x86_64"},
            ],
        )

        def ended():
            stack = self.cloudformation.describe_stacks(StackName="gpu-recovery")["Stacks"][0]
            return stack if not stack["StackStatus"].endswith("IN_PROGRESS") else None

        self.stack = wait_for("the stack is made", ended, 180)
        if self.stack["StackStatus"] != "CREATE_COMPLETE":
            events = self.cloudformation.describe_stack_events(StackName="gpu-recovery")["StackEvents"]
            wrong = [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}" for e in events if "FAILED" in e["ResourceStatus"]]
            raise AssertionError(f"{self.stack['StackStatus']}: {wrong}")
        self.topic = next(o["OutputValue"] for o in self.stack["Outputs"] if o["OutputKey"] == "TopicArn")
        self.inbox = self.sqs.create_queue(QueueName="inbox")["QueueUrl"]
        self.account.client("sns").subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"
        )

    def mock(self, **states):
        """What the states that ministack cannot play answer: a list of what each call of a state gets."""
        config = {"StateMachines": {"gpu-recovery": {"TestCases": {"Recovery": {}}}}, "MockedResponses": {}}
        for state, answers in states.items():
            config["StateMachines"]["gpu-recovery"]["TestCases"]["Recovery"][state] = state
            config["MockedResponses"][state] = {str(nth): answer for nth, answer in enumerate(answers)}
        body = json.dumps({"stepfunctions._sfn_mock_config": config}).encode()
        request = urllib.request.Request(f"{self.account.endpoint}/_ministack/config", data=body, method="POST")
        urllib.request.urlopen(request).read()

    def job(self, nodes):
        """A running job as its launcher leaves it: items in the table, tasks in ECS."""
        self.jobs += 1
        job = f"job-{self.jobs}"
        now = "2026-01-05T03:00:00Z"
        tasks = []
        self.put(JOBS, job_id=job, record="job", status="IN_PROGRESS", attempt=1, nodes=nodes, created_at=now, updated_at=now)
        for rank in range(nodes):
            instance = f"i-{self.jobs:08x}{rank:09x}"
            task = self.fleet.task(self.fleet.instance(instance))
            self.put(JOBS, job_id=job, record=f"attempt#00001#rank#{rank:05}", attempt=1, rank=rank, task_arn=task, status="RUNNING")
            tasks.append((task, instance))
        return job, tasks

    def put(self, table, **item):
        kinds = {str: "S", int: "N"}
        self.dynamodb.put_item(TableName=table, Item={k: {kinds[type(v)]: str(v)} for k, v in item.items()})

    def item(self, table, **key):
        found = self.dynamodb.get_item(TableName=table, Key={k: {"S": v} for k, v in key.items()}, ConsistentRead=True)
        return {k: self.read.deserialize(v) for k, v in found.get("Item", {}).items()}

    def send(self, event):
        sent = self.events.put_events(
            Entries=[{"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}]
        )
        assert sent["FailedEntryCount"] == 0, sent

    def stop_event(self, task, exit_code, stop_code="EssentialContainerExited", reason="Essential container in task exited"):
        """The task ends in ECS, and its recorded event names it."""
        self.fleet.stop(task, stop_code, reason, exit_code)
        event = json.loads((EVENTS / "task-essential-container-exit-1.json").read_text(encoding="utf-8"))
        event["detail"] |= {
            "taskArn": task,
            "clusterArn": arn(f"cluster/{CLUSTER}"),
            "stopCode": stop_code,
            "stoppedReason": reason,
        }
        event["detail"]["containers"][0] |= {"exitCode": exit_code}
        return event

    def executions(self):
        return self.states.list_executions(stateMachineArn=MACHINE, maxResults=1000)["executions"]

    def started(self, before, count=1):
        """Executions that are new since `before`."""
        known = {e["executionArn"] for e in before}

        def new():
            found = [e for e in self.executions() if e["executionArn"] not in known]
            return found if len(found) >= count else None

        return [e["executionArn"] for e in wait_for(f"{count} executions start", new, 30)]

    def ended(self, execution, seconds=120):
        def check():
            found = self.states.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        return wait_for(f"{execution} ends", check, seconds)

    def path(self, execution):
        pages = self.states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        path = []
        for event in pages:
            name = event.get("stateEnteredEventDetails", {}).get("name")
            if name and name not in path:
                path.append(name)
        return path

    def message(self, seconds=60):
        """The next notification: its attributes, its subject, its body."""

        def take():
            got = self.sqs.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=1).get("Messages")
            if not got:
                return None
            self.sqs.delete_message(QueueUrl=self.inbox, ReceiptHandle=got[0]["ReceiptHandle"])
            return json.loads(got[0]["Body"])

        envelope = wait_for("a notification comes", take, seconds)
        attributes = {name: a["Value"] for name, a in envelope["MessageAttributes"].items()}
        return attributes, envelope["Subject"], envelope["Message"]

    def no_message(self):
        got = self.sqs.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get("Messages", [])
        assert not got, [json.loads(m["Body"])["Subject"] for m in got]

    def dead_letters(self):
        url = self.sqs.get_queue_url(QueueName="gpu-recovery-dead-letters")["QueueUrl"]
        return self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])

    def reboot(self, instance, command):
        """The node has rebooted: Systems Manager says so once the wait is on."""
        wait_for(f"{instance} is awaited", lambda: self.item(INSTANCES, instance_id=instance).get("task_token"))
        event = json.loads((EVENTS / "command-invocation-success.json").read_text(encoding="utf-8"))
        event["detail"] |= {"command-id": command, "instance-id": instance, "document-name": "gpu-recovery-reboot"}
        self.send(event)


def dcgm(code):
    """The Task with which ecs:runTask.sync ends, as AWS gives it: a failure's cause when the code is not 0."""
    task = {
        "StopCode": "EssentialContainerExited",
        "StoppedReason": "Essential container in task exited",
        "Containers": [{"Name": "dcgm", "ExitCode": code}],
    }
    if code == 0:
        return {"Return": task}
    return {"Throw": {"Error": "States.TaskFailed", "Cause": json.dumps(task)}}


COMMAND = "0831e1a8-a1ac-4257-a1fd-c831bc48107e"
SENT = {"Return": {"Command": {"CommandId": COMMAND}}}


def answer(boot, uptime):
    """What SSM has of a node's probe."""
    line = f"probe1 {boot} {uptime} ?:- none - - full none\n"
    return {"Return": {"Status": "Success", "ResponseCode": 0, "StandardOutputContent": line}}


def asked(*answers):
    """The bad node is asked before the reboot, and after it until it tells another boot."""
    return {"AskNode": [SENT] * len(answers), "ReadAnswer": list(answers)}


BEFORE = answer("4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09", 90000)
AFTER = answer("00000000-1111-2222-3333-444444444444", 60)


# ---------------------------------------------------------------- the tests


def the_template_deploys(system):
    resources = system.cloudformation.describe_stack_resources(StackName="gpu-recovery")["StackResources"]
    bad = [r["LogicalResourceId"] for r in resources if r["ResourceStatus"] != "CREATE_COMPLETE"]
    assert not bad, bad
    functions = [r for r in resources if r["ResourceType"] == "AWS::Lambda::Function"]
    workers = list((ROOT / "schemas").glob("*.input.json"))
    assert len(functions) == len(workers), (len(functions), len(workers))
    alias = system.states.describe_state_machine_alias(stateMachineAliasArn=f"{MACHINE}:live")
    version = alias["routingConfiguration"][0]["stateMachineVersionArn"]
    definition = system.states.describe_state_machine(stateMachineArn=version)["definition"]
    assert "${" not in definition, "a substitution is left"
    call = json.loads(definition)["States"]["ClaimJob"]["Arguments"]["FunctionName"]
    assert call.rsplit(":", 1)[-1].isdigit(), f"no version: {call}"


def a_gpu_fault_is_recovered_and_told(system):
    job, tasks = system.job(3)
    task, instance = tasks[1]
    system.mock(RunDcgm=[dcgm(1)], RebootInstance=[SENT], VerifyGpus=[dcgm(0)], **asked(BEFORE, AFTER))
    before = system.executions()
    system.send(system.stop_event(task, 1))
    [execution] = system.started(before)
    system.reboot(instance, COMMAND)
    end = system.ended(execution)
    assert end["status"] == "SUCCEEDED", (end, system.path(execution))
    # ministack's history leaves out what happens inside a Map; what was done there shows in the tables and in ECS.
    expected = [
        "Classify", "ClaimJob", "JobClaimed?", "ProbeNodes", "StopSiblings", "AllStopped?", "WaitForNodes", "HearNodes",
        "AllHeard?", "NameSuspects", "SparesFirst?", "CheckGpus", "CheckAgain?", "GpusHealthy?", "RecoverInstances", "InstancesRecovered?", "RelaunchJob", "NotifyOperators", "RepairBeside?", "NothingToDo",
    ]  # fmt: skip
    assert system.path(execution) == expected, system.path(execution)
    attributes, subject, body = system.message()
    assert (attributes["event"], attributes["severity"]) == ("JobRecovered", "info"), attributes
    assert attributes["job_id"] == job and attributes["rank"] == "1", attributes
    assert re.match(rf"\[gpu-recovery\] RECOVERED {job} in .*: rebooted {instance} \(rank 1\)$", subject), subject
    assert "all 3 ranks are RUNNING" in body, body
    record = system.item(JOBS, job_id=job, record="job")
    assert (record["status"], record["attempt"]) == ("IN_PROGRESS", 2), record
    assert "holder" not in record and record["relaunched_by"] == execution, record
    for rank in range(3):
        rank_item = system.item(JOBS, job_id=job, record=f"attempt#00002#rank#{rank:05}")
        new = system.fleet.tasks[rank_item["task_arn"]]
        assert new["lastStatus"] == "RUNNING", new
        assert rank_item["instance_id"] == tasks[rank][1], rank_item
    held = system.item(INSTANCES, instance_id=instance)
    assert held["status"] == "IN_PROGRESS" and "holder" not in held and len(held["faults"]) == 1, held
    stopped = {body["task"]: body["reason"] for body in system.fleet.called("StopTask")}
    assert stopped.keys() == {tasks[0][0], tasks[2][0]}, stopped
    assert all(reason.startswith("gpu-recovery:") for reason in stopped.values()), stopped
    cordons = [body["status"] for body in system.fleet.called("UpdateContainerInstancesState")]
    assert cordons == ["DRAINING", "ACTIVE"], cordons
    launched = system.fleet.called("RunTask")
    assert len(launched) == 3 and len({body["clientToken"] for body in launched}) == 3, launched
    assert all(body["tags"] == [{"key": "team", "value": "vision"}] for body in launched), launched
    environment = launched[0]["overrides"]["containerOverrides"][0]["environment"]
    attempt = {"name": "GPU_RECOVERY_ATTEMPT", "value": "2"}
    assert environment == [{"name": "EPOCHS", "value": "3"}, attempt], environment


def a_second_stop_event_relaunches_nothing(system):
    job, tasks = system.job(2)
    system.mock(RunDcgm=[dcgm(0)])
    event = system.stop_event(tasks[0][0], 1)
    before = system.executions()
    system.send(event)
    [first] = system.started(before)
    assert system.ended(first)["status"] == "SUCCEEDED"
    assert system.message()[0]["event"] == "JobFailed"
    launched = len(system.fleet.called("RunTask"))
    before = system.executions()
    system.send(event)
    [second] = system.started(before)
    end = system.ended(second)
    assert end["status"] == "SUCCEEDED" and system.path(second)[-1] == "NothingToDo", system.path(second)
    assert len(system.fleet.called("RunTask")) == launched
    system.no_message()


def two_ranks_that_fail_at_once_are_one_recovery(system):
    job, tasks = system.job(2)
    system.mock(RunDcgm=[dcgm(0), dcgm(0)])
    events = [system.stop_event(task, 1) for task, _ in tasks]
    before = system.executions()
    for event in events:
        system.send(event)
    executions = system.started(before, 2)
    assert all(system.ended(e)["status"] == "SUCCEEDED" for e in executions)
    paths = [system.path(e) for e in executions]
    assert sorted("StopSiblings" in path for path in paths) == [False, True], paths
    assert system.message()[0]["event"] == "JobFailed"
    system.no_message()


def healthy_gpus_fail_the_job_and_reboot_nothing(system):
    job, tasks = system.job(2)
    system.mock(RunDcgm=[dcgm(0)])
    before = system.executions()
    system.send(system.stop_event(tasks[1][0], 1))
    [execution] = system.started(before)
    end = system.ended(execution)
    assert end["status"] == "SUCCEEDED" and "RecoverInstances" not in system.path(execution), end
    attributes, _, body = system.message()
    assert (attributes["event"], attributes["reason"]) == ("JobFailed", "NoGpuFault"), attributes
    record = system.item(JOBS, job_id=job, record="job")
    assert (record["status"], record["failed_by"]) == ("FAILED", execution), record
    assert system.item(INSTANCES, instance_id=tasks[1][1])["status"] == "AVAILABLE"


def a_gpu_that_stays_faulty_is_quarantined(system):
    job, tasks = system.job(2)
    instance = tasks[0][1]
    system.mock(RunDcgm=[dcgm(1)], RebootInstance=[SENT], VerifyGpus=[dcgm(1)], **asked(BEFORE, AFTER))
    before = system.executions()
    system.send(system.stop_event(tasks[0][0], 1))
    [execution] = system.started(before)
    system.reboot(instance, COMMAND)
    end = system.ended(execution)
    assert end["status"] == "SUCCEEDED", end
    assert system.message()[0]["reason"] == "InstancesNotRecovered"
    held = system.item(INSTANCES, instance_id=instance)
    assert held["status"] == "QUARANTINED" and "exit 1" in held["quarantine_reason"], held
    status = [i["status"] for i in system.fleet.instances.values() if i["ec2InstanceId"] == instance]
    assert status == ["DRAINING"], status
    assert system.item(JOBS, job_id=job, record="job")["status"] == "FAILED"


def a_quarantined_instance_that_passes_a_check_by_hand_is_in_service(system):
    items = system.dynamodb.scan(TableName=INSTANCES)["Items"]
    instance = next(i["instance_id"]["S"] for i in items if i["status"]["S"] == "QUARANTINED")
    system.mock(RunDcgm=[dcgm(0)])
    # What `gpu-recovery check` starts.
    event = {
        "source": "gpu-recovery",
        "detail-type": "GPU Instance Check",
        "detail": {"instance": instance, "by": "ann", "reason": "GPU 5 replaced"},
    }
    started = system.states.start_execution(stateMachineArn=f"{MACHINE}:live", input=json.dumps(event))
    end = system.ended(started["executionArn"])
    assert end["status"] == "SUCCEEDED", (end, system.path(started["executionArn"]))
    path = system.path(started["executionArn"])
    assert path[-4:] == ["EndCheck", "NotifyOperators", "RepairBeside?", "NothingToDo"], path
    assert system.message()[0]["event"] == "InstanceChecked"
    assert system.item(INSTANCES, instance_id=instance)["status"] == "AVAILABLE"
    status = [i["status"] for i in system.fleet.instances.values() if i["ec2InstanceId"] == instance]
    assert status == ["ACTIVE"], status


def a_spare_takes_over_and_the_bad_node_is_repaired_beside_the_job(system):
    job, tasks = system.job(2)
    task, instance = tasks[1]
    spare = "i-000000ff000000001"
    key = system.fleet.instance(spare)
    mark = {"name": "gpu-recovery.spare", "value": "default"}
    system.fleet.instances[key]["attributes"].append(mark)
    now = "2026-01-05T03:00:00Z"
    system.put(
        INSTANCES, instance_id=spare, status="AVAILABLE", container_instance_arn=key, last_verdict="healthy", last_check_at=now,
        updated_at=now,
    )  # fmt: skip
    system.mock(RunDcgm=[dcgm(1)], RebootInstance=[SENT], VerifyGpus=[dcgm(0)], **asked(BEFORE, AFTER))
    before = system.executions()
    system.send(system.stop_event(task, 1))
    [execution] = system.started(before)
    system.reboot(instance, COMMAND)
    end = system.ended(execution)
    path = system.path(execution)
    assert end["status"] == "SUCCEEDED", (end, path)
    assert path.index("RelaunchJob") < path.index("RecoverInstances") < path.index("ReleaseSuspects"), path
    assert system.message()[0]["event"] == "JobRecovered"
    ranks = [system.item(JOBS, job_id=job, record=f"attempt#00002#rank#{rank:05}") for rank in range(2)]
    assert [rank["instance_id"] for rank in ranks] == [tasks[0][1], spare], ranks
    assert system.item(INSTANCES, instance_id=spare)["status"] == "IN_PROGRESS"
    assert system.item(INSTANCES, instance_id=instance)["status"] == "AVAILABLE"
    # The mark has moved to the repaired node.
    marked = [i["ec2InstanceId"] for i in system.fleet.instances.values() if mark in i["attributes"]]
    assert marked == [instance], marked
    for kept in system.fleet.instances.values():
        kept["attributes"] = [a for a in kept["attributes"] if a != mark]


def every_rank_done_completes_the_job(system):
    job, tasks = system.job(2)
    for nth, (task, _) in enumerate(tasks):
        before = system.executions()
        system.send(system.stop_event(task, 0))
        [execution] = system.started(before)
        end = system.ended(execution)
        assert end["status"] == "SUCCEEDED" and system.path(execution) == ["Classify", "RecordCompletion"], end
        outcome = json.loads(end["output"])["outcome"]
        assert outcome == ["Recorded", "JobComplete"][nth], end["output"]
    record = system.item(JOBS, job_id=job, record="job")
    assert record["status"] == "COMPLETE" and record["done_ranks"] == {0, 1}, record
    system.no_message()


def a_stop_that_nobody_was_told_of_is_found_by_looking(system):
    job, tasks = system.job(1)
    task, _ = tasks[0]
    system.dynamodb.update_item(
        TableName=JOBS,
        Key={"job_id": {"S": job}, "record": {"S": "job"}},
        UpdateExpression="SET running = :yes",
        ExpressionAttributeValues={":yes": {"S": "yes"}},
    )
    system.fleet.stop(task, "EssentialContainerExited", "Essential container in task exited", 0)
    system.fleet.tasks[task]["stoppedAt"] = time.time() - 300
    before = system.executions()
    look = system.account.client("lambda").invoke(
        FunctionName="gpu-recovery-look-for-lost-stops", Qualifier="live", Payload=b'{"source": "aws.events"}'
    )
    answer = json.loads(look["Payload"].read())
    assert answer.get("found") == [task], answer
    [execution] = system.started(before)
    assert system.ended(execution)["status"] == "SUCCEEDED", system.path(execution)
    assert system.item(JOBS, job_id=job, record="job")["status"] == "COMPLETE"


def our_own_stops_and_health_checks_start_nothing(system):
    _, tasks = system.job(1)
    before = system.executions()
    system.send(system.stop_event(tasks[0][0], 143, "UserInitiated", "gpu-recovery: another rank of the job failed"))
    check = system.stop_event(tasks[0][0], 1)
    check["detail"]["group"] = "family:dcgm-health-check"
    system.send(check)
    other = system.stop_event(tasks[0][0], 1)
    other["detail"]["clusterArn"] = arn("cluster/other")
    system.send(other)
    time.sleep(2)
    assert len(system.executions()) == len(before)


def an_operator_who_stops_a_task_stops_the_job(system):
    job, tasks = system.job(2)
    before = system.executions()
    system.send(system.stop_event(tasks[0][0], 143, "UserInitiated", "enough"))
    [execution] = system.started(before)
    assert system.ended(execution)["status"] == "SUCCEEDED"
    path = system.path(execution)
    assert path[:4] == ["Classify", "RecordUserStop", "JobClaimed?", "StopSiblings"], path
    assert path[-4:-2] == ["TellOnly", "NotifyOperators"], path
    assert system.message()[0]["event"] == "JobStopped"
    assert system.item(JOBS, job_id=job, record="job")["status"] == "USER_STOPPED"


def a_recovery_that_breaks_is_told_with_its_replay_command(system):
    job, tasks = system.job(1)
    refused = {"Throw": {"Error": "Ssm.AccessDeniedException", "Cause": "not authorized to perform: ssm:SendCommand"}}
    system.mock(RunDcgm=[dcgm(1)], RebootInstance=[refused], **asked(BEFORE))
    before = system.executions()
    system.send(system.stop_event(tasks[0][0], 1))
    [execution] = system.started(before)
    end = system.ended(execution)
    assert end["status"] == "FAILED", end
    attributes, subject, body = system.message()
    assert (attributes["event"], attributes["severity"]) == ("ExecutionEndedBadly", "critical"), attributes
    # In which state, ministack's history tells or not.
    assert subject.startswith(f"[gpu-recovery] EXECUTION FAILED {job}: "), subject
    assert f"gpu-recovery replay {execution} --dry-run" in body, body
    record = system.item(JOBS, job_id=job, record="job")
    assert (record["status"], record["holder"]) == ("PENDING_RESTART", execution), record
    return subject


def nothing_was_left_undelivered(system):
    letters = system.dead_letters()
    assert not letters, [letter["Body"][:300] for letter in letters]


TESTS = [
    the_template_deploys,
    a_gpu_fault_is_recovered_and_told,
    a_second_stop_event_relaunches_nothing,
    two_ranks_that_fail_at_once_are_one_recovery,
    healthy_gpus_fail_the_job_and_reboot_nothing,
    a_gpu_that_stays_faulty_is_quarantined,
    a_quarantined_instance_that_passes_a_check_by_hand_is_in_service,
    a_spare_takes_over_and_the_bad_node_is_repaired_beside_the_job,
    every_rank_done_completes_the_job,
    a_stop_that_nobody_was_told_of_is_found_by_looking,
    our_own_stops_and_health_checks_start_nothing,
    an_operator_who_stops_a_task_stops_the_job,
    a_recovery_that_breaks_is_told_with_its_replay_command,
    nothing_was_left_undelivered,
]


def main():
    begin = time.monotonic()
    passed = failed = 0
    with open(ROOT / "target/e2e.log", "w", encoding="utf-8") as log:
        account = Account(log)
        try:
            system = System(account)
            system.deploy()
            print(f"Deployed in {time.monotonic() - begin:.0f} s")
            for test in TESTS:
                since = time.monotonic()
                system.fleet.calls.clear()
                system.sqs.purge_queue(QueueUrl=system.inbox)
                try:
                    test(system)
                except Exception as error:  # noqa: BLE001 - one failure must not hide the others
                    failed += 1
                    print(f"FAIL {test.__name__}: {error}", flush=True)
                    if not isinstance(error, AssertionError):
                        traceback.print_exc()
                else:
                    passed += 1
                    print(f"ok   {test.__name__} ({time.monotonic() - since:.1f} s)", flush=True)
        finally:
            account.close()
    if failed:
        print("What ministack and the bootstraps said: target/e2e.log")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
