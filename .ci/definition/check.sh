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

need() {
  command -v "$1" >/dev/null || {
    echo "check.sh: $1 is missing, so the definition was NOT checked. Install it: $2" >&2
    exit 2
  }
}
need python3 'apt-get install python3 python3-venv'
need node 'apt-get install nodejs npm'
need npm 'apt-get install nodejs npm'

# An interrupted install leaves no stamp and is begun again.
venv=target/ci-definition-venv
pins="cfn-lint==$cfn_lint statelint==$statelint"
if [[ $(cat "$venv/pins" 2>/dev/null) != "$pins" ]]; then
  echo "Installing $pins"
  rm -rf "$venv"
  mkdir -p target
  python3 -m venv "$venv" || {
    echo "check.sh: python3 cannot make a venv, so the definition was NOT checked. Install it: apt-get install python3-venv" >&2
    exit 2
  }
  # shellcheck disable=SC2086 # one word each
  "$venv/bin/pip" install --quiet --disable-pip-version-check $pins
  echo "$pins" >"$venv/pins"
fi

modules=target/ci-definition-node
pins="asl-validator@$asl_validator"
if [[ $(cat "$modules/pins" 2>/dev/null) != "$pins" ]]; then
  echo "Installing $pins"
  rm -rf "$modules"
  mkdir -p "$modules"
  npm install --prefix "$modules" --no-save --no-package-lock --no-fund --no-audit --silent "$pins"
  echo "$pins" >"$modules/pins"
fi

exec "$venv/bin/python" .ci/definition/check.py "$definition" "$venv/bin" "$modules/node_modules/.bin"
