#!/usr/bin/env bash
# Judges every recorded request, answer, error code and history event by the service models that botocore ships.
#
#   .ci/judges/models/check.sh
#
# Installs what it needs under target/ at the first run, from PyPI.
set -euo pipefail
cd "$(dirname "$0")/../../.."
judge=models
source .ci/judges/lib.sh

python_with botocore==1.44.8 regex==2026.11.19
recording
exec "$venv/bin/python" .ci/judges/models/check.py
