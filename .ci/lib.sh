# What the scripts of the gate share; they source it from the repository's root. Each names `place`, the folder under
# target/ where it installs what it needs, and `undone`, what has not happened when it cannot run.

# It cannot run here: says why, and what was not done. A script that may be skipped says it in its own way.
cannot() {
  echo "$0: $1, so $undone. Install it: $2" >&2
  exit 2
}

need() { command -v "$1" >/dev/null || cannot "$1 is missing" "$2"; }

# A Python environment in `venv` with exactly these packages: python_with PACKAGE==VERSION...
# An interrupted install leaves no stamp and is begun again.
python_with() {
  need python3 'apt-get install python3 python3-venv'
  venv=target/$place-venv
  local pins="$*"
  if [[ $(cat "$venv/pins" 2>/dev/null) != "$pins" ]]; then
    echo "Installing $pins"
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    python3 -m venv "$venv" || cannot "python3 cannot make a venv" 'apt-get install python3-venv'
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
    echo "$pins" >"$venv/pins"
  fi
}

# The same for Node, in `modules`: node_with PACKAGE@VERSION...
node_with() {
  need node 'apt-get install nodejs npm'
  need npm 'apt-get install nodejs npm'
  modules=target/$place-node
  local pins="$*"
  if [[ $(cat "$modules/pins" 2>/dev/null) != "$pins" ]]; then
    echo "Installing $pins"
    rm -rf "$modules"
    mkdir -p "$modules"
    npm install --prefix "$modules" --no-save --no-package-lock --no-fund --no-audit --silent "$@"
    echo "$pins" >"$modules/pins"
  fi
}
