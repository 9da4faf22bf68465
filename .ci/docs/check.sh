#!/usr/bin/env bash
# Checks the spelling of every page, and lets the AWS CLI read every aws command of docs/deploy.md and docs/alerting.md that can be
# copied whole; one that it cannot read fails. Words that are right here and a mistake elsewhere stand in words.txt.
#
#   .ci/docs/check.sh
#
# Installs both under target/ at the first run, from PyPI. Needs no AWS account and calls nothing: the endpoint is a
# closed port of this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=ci-docs undone='spelling and commands were NOT checked'
source .ci/lib.sh
python_with awscli==1.46.3 codespell==2.4.3

"$venv/bin/codespell" --builtin clear,rare,informal,usage,code --ignore-words .ci/docs/words.txt *.md docs/*.md docs/examples

for page in deploy alerting; do
    "$venv/bin/python" .ci/docs/check.py "docs/$page.md" "$venv/bin"
done
