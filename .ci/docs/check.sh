#!/usr/bin/env bash
# Lets the AWS CLI read every aws command of docs/deploy.md and docs/alerting.md that can be copied whole; one that it cannot read fails.
#
#   .ci/docs/check.sh
#
# Installs the CLI under target/ at the first run, from PyPI. Needs no AWS account and calls nothing: the endpoint is a
# closed port of this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=ci-docs undone='the commands were NOT checked'
source .ci/lib.sh
python_with awscli==1.46.3

for page in deploy alerting; do
    "$venv/bin/python" .ci/docs/check.py "docs/$page.md" "$venv/bin"
done
