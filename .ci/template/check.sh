#!/usr/bin/env bash
# Checks the SAM template with three linters that others keep; any finding fails.
#
#   .ci/template/check.sh [TEMPLATE]      default: infra/template.yaml
#
# Installs them under target/ at the first run, from PyPI. Needs no AWS account.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
template=$(realpath "${1:-$root/infra/template.yaml}")
cd "$root"

# cfn-lint checks the template as SAM expands it, against CloudFormation's own schemas; checkov looks for what is
# unsafe rather than wrong; sam is what deploys it.
place=ci-template undone='the template was NOT checked'
source .ci/lib.sh
python_with aws-sam-cli==1.170.0 cfn-lint==1.58.0 checkov==3.2.459

exec "$venv/bin/python" .ci/template/check.py "$template" "$venv/bin"
