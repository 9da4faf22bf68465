#!/usr/bin/env bash
# Lets the AWS CLI read every aws command of docs/deploy.md that can be copied whole; one that it cannot read fails.
#
#   .ci/docs/check.sh
#
# Installs the CLI under target/ at the first run, from PyPI. Needs no AWS account and calls nothing: the endpoint is a
# closed port of this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

pins="awscli==1.46.3"

command -v python3 >/dev/null || {
  echo "check.sh: python3 is missing, so the commands were NOT checked. Install it: apt-get install python3 python3-venv" >&2
  exit 2
}

# An interrupted install leaves no stamp and is begun again.
venv=target/ci-docs-venv
if [[ $(cat "$venv/pins" 2>/dev/null) != "$pins" ]]; then
  echo "Installing $pins"
  rm -rf "$venv"
  mkdir -p target
  python3 -m venv "$venv" || {
    echo "check.sh: python3 cannot make a venv, so the commands were NOT checked. Install it: apt-get install python3-venv" >&2
    exit 2
  }
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$pins"
  echo "$pins" >"$venv/pins"
fi

exec "$venv/bin/python" .ci/docs/check.py docs/deploy.md "$venv/bin"
