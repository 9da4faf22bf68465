# What the judges' scripts share; they source it from the repository's root.

source .ci/lib.sh
place=judges/$judge

# The judge cannot run here: says why, and that nothing was judged.
cannot() {
  echo "judges: $judge: NOT JUDGED: $1; to run it: $2"
  exit 0
}
export PYTHONPATH=.ci/judges PYTHONDONTWRITEBYTECODE=1

# The recording that all judges of a run share; a judge that runs by itself makes it.
recording() {
  [[ -n ${RECORDING:-} ]] || RECORDING=$(.ci/judges/record.sh)
  export RECORDING
}
