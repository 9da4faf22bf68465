#!/usr/bin/env bash
# Checks the state machine's definition with three validators that others keep; any finding fails.
#
#   .ci/definition/check.sh [DEFINITION]      default: statemachine/recovery.asl.json
#
# Installs them under target/ at the first run, from PyPI and the npm registry.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
definition=$(realpath "${1:-$root/statemachine/recovery.asl.json}")
cd "$root"

cfn_lint=1.58.0      # CloudFormation's linter: rule E3601 checks state machine definitions
statelint=3.1.0      # a Python port of AWS Labs' statelint that knows JSONata and variables
asl_validator=4.0.0  # also parses every JSONata expression

place=ci-definition undone='the definition was NOT checked'
source .ci/lib.sh
python_with "cfn-lint==$cfn_lint" "statelint==$statelint"
node_with "asl-validator@$asl_validator"

exec "$venv/bin/python" .ci/definition/check.py "$definition" "$venv/bin" "$modules/node_modules/.bin"
