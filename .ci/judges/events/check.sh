#!/usr/bin/env bash
# Judges the events that the simulator sends by what AWS documents (the EventBridge schema registry, the API's shapes, the
# documentation's examples), and the template's rules by LocalStack's matcher.
#
#   .ci/judges/events/check.sh [TEMPLATE]      default: infra/template.yaml
#
# Installs what it needs under target/ at the first run, from PyPI and the npm registry.
set -euo pipefail
template=$(realpath "${1:-$(dirname "$0")/../../../infra/template.yaml}")
cd "$(dirname "$0")/../../.."
judge=events
source .ci/judges/lib.sh

# The matcher needs what LocalStack's provider of EventBridge imports, and nothing of what it runs.
python_with aws-sam-translator==1.115.0 PyYAML==6.0.4 botocore==1.44.8 \
  localstack-core==2026.3.0 rolo==0.8.9 dnslib==0.9.26 asn1crypto==1.5.1 jsonpatch==1.33
# The schema registry, as AWS keeps it for its CDK.
node_with @aws-cdk/aws-service-spec@0.1.216
recording
exec "$venv/bin/python" .ci/judges/events/check.py "$template" "$modules"
