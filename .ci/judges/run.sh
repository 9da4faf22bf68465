#!/usr/bin/env bash
# All judges: what AWS evaluates, accepts and sends is judged by what others keep (docs/judges.md). Needs Rust, Python 3
# and Node; no AWS account. A judge that cannot run here says so; any finding fails.
set -uo pipefail
cd "$(dirname "$0")/../.."

RECORDING=$(.ci/judges/record.sh) || exit 1
export RECORDING
status=0
for judge in models policies events template; do
  printf '\n-- %s\n' "$judge"
  ".ci/judges/$judge/check.sh" || status=1
done
exit $status
