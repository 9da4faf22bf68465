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
pins="aws-sam-cli==1.170.0 cfn-lint==1.58.0 checkov==3.2.459"

command -v python3 >/dev/null || {
  echo "check.sh: python3 is missing, so the template was NOT checked. Install it: apt-get install python3 python3-venv" >&2
  exit 2
}

# An interrupted install leaves no stamp and is begun again.
venv=target/ci-venv
if [[ $(cat "$venv/pins" 2>/dev/null) != "$pins" ]]; then
  echo "Installing $pins"
  rm -rf "$venv"
  mkdir -p target
  python3 -m venv "$venv" || {
    echo "check.sh: python3 cannot make a venv, so the template was NOT checked. Install it: apt-get install python3-venv" >&2
    exit 2
  }
  # shellcheck disable=SC2086 # one word each
  "$venv/bin/pip" install --quiet --disable-pip-version-check $pins
  echo "$pins" >"$venv/pins"
fi

exec "$venv/bin/python" .ci/template/check.py "$template" "$venv/bin"
