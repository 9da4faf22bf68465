#!/usr/bin/env bash
# Plays every built-in scenario, the rare paths and seeded schedules, and writes down every request and answer that crosses
# the simulated wire, every event and every history event. Prints the file's name.
#
#   .ci/judges/record.sh [SCHEDULES]      default: 200
set -euo pipefail
cd "$(dirname "$0")/../.."

out=target/judges/recording.jsonl
mkdir -p target/judges
# With the workspace's features, so that what `cargo test --workspace` compiled is used again.
cargo build --quiet --locked --workspace --example record >&2
target/debug/examples/record "$out" "${1:-200}" >&2
echo "$out"
