# What the judges' scripts share; they source it from the repository's root.

# The judge cannot run here: says why, and that nothing was judged.
cannot() {
  echo "judges: $judge: NOT JUDGED: $1"
  exit 0
}

# A Python environment under target/ with exactly these packages: python PACKAGE==VERSION...
# An interrupted install leaves no stamp and is begun again.
python_with() {
  command -v python3 >/dev/null || cannot "python3 is missing; to run it: apt-get install python3 python3-venv"
  venv=target/judges/$judge-venv
  local pins="$*"
  if [[ $(cat "$venv/pins" 2>/dev/null) != "$pins" ]]; then
    echo "Installing $pins"
    rm -rf "$venv"
    mkdir -p target/judges
    python3 -m venv "$venv" || cannot "python3 cannot make a venv; to run it: apt-get install python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
    echo "$pins" >"$venv/pins"
  fi
  export PYTHONPATH=.ci/judges PYTHONDONTWRITEBYTECODE=1
}

# The same for Node: node_with PACKAGE@VERSION...
node_with() {
  for tool in node npm; do
    command -v $tool >/dev/null || cannot "$tool is missing; to run it: apt-get install nodejs npm"
  done
  modules=target/judges/$judge-node
  local pins="$*"
  if [[ $(cat "$modules/pins" 2>/dev/null) != "$pins" ]]; then
    echo "Installing $pins"
    rm -rf "$modules"
    mkdir -p "$modules"
    npm install --prefix "$modules" --no-save --no-package-lock --no-fund --no-audit --silent "$@"
    echo "$pins" >"$modules/pins"
  fi
}

# The recording that all judges of a run share; a judge that runs by itself makes it.
recording() {
  [[ -n ${RECORDING:-} ]] || RECORDING=$(.ci/judges/record.sh)
  export RECORDING
}
