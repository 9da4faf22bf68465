#!/usr/bin/env bash
# Compares the last released template (infra/released/) with the template as it is, as a change set would: names every
# resource that an upgrade would replace, and fails for what holds data.
#
#   .ci/judges/template/check.sh [TEMPLATE]      default: infra/template.yaml
#
# Installs what it needs under target/ at the first run, from PyPI. Needs no AWS account.
set -euo pipefail
template=$(realpath "${1:-$(dirname "$0")/../../../infra/template.yaml}")
cd "$(dirname "$0")/../../.."
judge=template
source .ci/judges/lib.sh

# cfn-lint ships CloudFormation's resource schemas.
python_with cfn-lint==1.58.0 aws-sam-translator==1.115.0
exec "$venv/bin/python" .ci/judges/template/check.py "$template"
