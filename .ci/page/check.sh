#!/usr/bin/env bash
# Opens the page in a real headless Chromium: the sandbox's, live, and the file that a drill writes. Says what is wrong for a
# keyboard or a screen reader by axe.
#
#   .ci/page/check.sh                    ends with: N passed, N failed
#   SHOTS=DIR .ci/page/check.sh          the same, and leaves pictures of it there
#   UPDATE_SHOT=1 .ci/page/check.sh      the same, and takes the README's picture anew
#
# Installs what drives the browser under target/ at the first run, from npm, and Chromium from Debian where this is root. Needs no
# AWS account: the endpoint is a process of this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=ci-page
source .ci/lib.sh
cannot() {
  echo "page: skipped: $1; to run it: $2"
  exit 0
}
install='apt-get install chromium'
if ! command -v chromium >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  echo "Installing chromium"
  { apt-get update && apt-get install --yes --no-install-recommends chromium fonts-liberation; } >/dev/null 2>&1 ||
    cannot 'chromium could not be installed' "$install"
fi
need chromium "$install"
node_with playwright-core@1.65.1 axe-core@4.14.1
cargo build --workspace --bins --locked --quiet

NODE_PATH=$modules/node_modules exec node .ci/page/check.cjs target/debug/gpu-recovery "$(command -v chromium)"
