#!/usr/bin/env bash
# The end-to-end test: the real Lambda program, deployed by infra/template.yaml into an emulator of AWS (ministack).
# Needs Rust and Python 3; no AWS account, no Docker.
#
#   .ci/e2e/run.sh                       builds what changed, deploys, plays, and ends with: N passed, N failed
#   E2E_PROFILE=dev .ci/e2e/run.sh       the same with an unoptimized program, which is built much faster
#
# Installs what it needs under target/ at the first run, from PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."
# What is recorded for the judge of the policies is of this run, or of none.
rm -f target/judges/e2e-calls.jsonl

place=ci-e2e
source .ci/lib.sh
cannot() {
  echo "e2e: skipped: $1; to run it: $2"
  exit 0
}
need cargo https://rustup.rs
# ministack's SAM support is the translator that CloudFormation itself runs.
python_with ministack==1.5.33 aws-sam-translator==1.115.0 boto3==1.43.106 cargo-lambda==1.9.2 ziglang==0.17.1

begin=$SECONDS
if [[ ${E2E_PROFILE:-release} == dev ]]; then
  echo "Building the bootstrap, unoptimized"
  cargo build --locked --workspace --bin bootstrap
  export E2E_BOOTSTRAPS=target/e2e-dev
  mkdir -p "$E2E_BOOTSTRAPS/bootstrap"
  strip --strip-debug -o "$E2E_BOOTSTRAPS/bootstrap/bootstrap" target/debug/bootstrap
else
  # The profile is the one that is deployed; the architecture is this machine's.
  echo "Building the bootstrap (the first time takes minutes)"
  PATH="$PWD/$venv/bin:$PATH" cargo lambda build --release --locked --package workers --bin bootstrap --lambda-dir target/lambda
fi
echo "Built in $((SECONDS - begin)) s"

exec "$venv/bin/python" -B .ci/e2e/e2e.py
