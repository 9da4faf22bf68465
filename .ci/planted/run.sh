#!/usr/bin/env bash
# Plants every bug of tests/planted/ in a copy of the tree, builds that once, and hunts each of them, or those that are named:
# by schedules from seed 1 until a promise breaks, or by the test that it names. Writes the table of docs/faults.md.
#
#   .ci/planted/run.sh [NAME …]
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --quiet --profile sim --package tests --example planted
plant=$PWD/target/sim/examples/planted

tree=target/planted
mkdir -p "$tree/target"
# With their times, so that what has not changed is not built again.
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - | tar --extract --directory "$tree"
# A folder of its own for what is built: cargo would take one tree's crates for the other's. What is not of this repository is
# taken over.
if ! [ -d "$tree/target/sim" ]; then
  cp --archive --link target/sim "$tree/target/sim"
  rm -rf "$tree"/target/sim/.fingerprint/{workers,stepfunctions,simulator,tests}-*
fi
"$plant" plant "$tree"

cd "$tree"
cargo test --quiet --profile sim --package tests --test workers --no-run
status=0
cargo run --quiet --profile sim --package tests --example planted -- hunt "$@" || status=$?
cp docs/faults.md ../../docs/faults.md
exit $status
