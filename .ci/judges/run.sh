#!/usr/bin/env bash
# All judges: what AWS evaluates, accepts and sends is judged by what others keep (docs/judges.md). Needs Rust, Python 3
# and Node; no AWS account. A judge that cannot run here says so; any finding fails.
set -uo pipefail
cd "$(dirname "$0")/../.."

# The gate has made it by then.
[[ -n ${RECORDING:-} ]] || RECORDING=$(.ci/judges/record.sh) || exit 1
export RECORDING
judges=(models policies events template)
declare -A running=()
for judge in "${judges[@]}"; do
  ".ci/judges/$judge/check.sh" >"target/judges/$judge.log" 2>&1 &
  running[$judge]=$!
done
status=0
for judge in "${judges[@]}"; do
  wait "${running[$judge]}" || status=1
  printf '\n-- %s\n' "$judge"
  cat "target/judges/$judge.log"
done
exit $status
