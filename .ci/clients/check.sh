#!/usr/bin/env bash
# Lets boto3 and the AWS CLI work on the sandbox: every operation that it offers, the README's launcher, every aws command that the
# docs and the doctor print. Writes the table of docs/sandbox.md with UPDATE_CLIENTS=1; compares it otherwise.
#
#   .ci/clients/check.sh
#
# Installs both under target/ at the first run, from PyPI. Needs no AWS account: the endpoint is a process of this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=ci-clients undone='the clients were NOT tried'
source .ci/lib.sh
python_with awscli==1.46.3 boto3==1.44.8 regex==2026.11.19
cargo build --workspace --bins --locked --quiet

export PYTHONPATH=.ci/judges/models PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/python" .ci/clients/check.py target/debug/gpu-recovery "$venv/bin"
