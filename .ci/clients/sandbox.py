"""A sandbox that runs, and its control path."""

import json
import os
import re
import shlex
import subprocess
import threading
import urllib.error
import urllib.request


class Sandbox:
    """Started on a free port; ended with the block."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen(
            [program, "sandbox", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
        )
        self.exports = {}
        for line in self.process.stdout:
            for name, value in re.findall(r"\b([A-Z_]+)=([^\s;]+)", line):
                self.exports[name] = value
            if "STATE_MACHINE_ARN" in self.exports:
                break
        else:
            raise SystemExit("the sandbox does not start")
        # A pipe that nobody reads would hold it up.
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()
        self.url = self.exports["AWS_ENDPOINT_URL"]
        self.program = program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=5)

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=data)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{path}: {error.read().decode()}") from error

    def passes(self, seconds):
        return self.control("time", {"turn": "pass", "seconds": seconds})

    def do(self, deed, **arguments):
        return self.control("do", {"do": deed, **arguments})

    def environment(self, **more):
        kept = {name: os.environ[name] for name in ("PATH",)}
        return {**kept, "HOME": "/nonexistent", "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "", **self.exports, **more}

    def run(self, *arguments):
        """The program's own command on it; what it wrote."""
        done = subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, env=self.environment(), check=False
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"{shlex.join(arguments)}: {done.stderr}")
        return done.stdout

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
