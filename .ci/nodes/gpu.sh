#!/usr/bin/env bash
# Plays the node scripts on a machine with a real GPU, as root, and writes down what they said and what the driver did.
#
#   .ci/nodes/gpu.sh FOLDER
#
# Nothing is reset, set or rebooted: reboot.sh only asks for a reboot with its exit code, which nobody here heeds. The faults are
# those of a program of its own (gpu-faults.py, which needs python3 with cupy). tests/nodes/recorded.rs replays one such record,
# without the GPU's UUID and serial number.
set -uo pipefail
to=${1:?FOLDER is missing: .ci/nodes/gpu.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
scripts=$here/../../infra/nodes
mkdir -p "$to"
work=$(mktemp -d)
trap 'rm -rf "$work"; kill $(jobs -p) 2>/dev/null' EXIT

say() { printf '%s\n' "$*" | tee -a "$to/said.txt"; }
# What SSM does before it runs a script: the parameters' text for their places.
fill() {
  local text
  text=$(<"$scripts/$1")
  text=${text//'{{ AttemptSeconds }}'/"${attempt:-3600}"}
  text=${text//'{{ BootId }}'/"${order:-}"}
  printf '%s\n' "${text//'{{ UntilUptime }}'/"${until:-0}"}" >"$work/$1"
}
timed() { # NAME COMMAND...: what it said, its exit code and how long it took
  local name=$1 begin said code
  shift
  begin=$(date +%s%N)
  said=$("$@" 2>&1)
  code=$?
  say "$name | $said | exit $code | $((($(date +%s%N) - begin) / 1000000)) ms"
}
probe() { fill probe.sh; timed "$1" bash "$work/probe.sh"; }
reboot() { fill reboot.sh; timed "$1" bash "$work/reboot.sh"; }
hold() { # HOW: a process with memory on the GPU, by the names that holders.sh tells apart
  python3 "$here/gpu-faults.py" hold "$@" >"$work/held" 2>&1 &
  held=$!
  for _ in $(seq 100); do grep -q holding "$work/held" && return; sleep 0.2; done
  say "no holder: $(tail -n 1 "$work/held")"
}
let_go() { kill -KILL "$held" 2>/dev/null; wait "$held" 2>/dev/null; }

uname -r | sed 's/^/kernel /' >>"$to/said.txt"
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | sed 's/^/gpu /' >>"$to/said.txt"
say "gpu_recovery_action | $(nvidia-smi --query-gpu=gpu_recovery_action --format=csv,noheader) | exit $?"
say "unknown name | $(nvidia-smi --query-gpu=gpu_recovery_actions --format=csv,noheader 2>&1) | exit $?"
nvidia-smi -q | grep -n -i 'recovery' >>"$to/said.txt"

read -r boot </proc/sys/kernel/random/boot_id
read -r uptime _ </proc/uptime

# Idle.
for n in 1 2 3; do probe "idle $n"; done
order=$boot until=$((${uptime%.*} + 300)) reboot 'reboot, idle'
order=00000000-0000-0000-0000-000000000000 until=999999 reboot 'reboot, another boot'
order=$boot until=0 reboot 'reboot, late order'
order="\$(reboot)" until=1 reboot 'reboot, not a boot id'

# Somebody holds the GPU.
hold plain; probe 'a service holds'; let_go
hold login; probe 'a login session holds'
order=$boot until=$((${uptime%.*} + 3000)) reboot 'reboot, a login session holds'
let_go
group=/sys/fs/cgroup/docker-$(printf '%064d' 7).scope # as docker names a container's (cgroup v2)
mkdir "$group"
hold container "$group"; probe 'a container holds'
order=$boot until=$((${uptime%.*} + 3000)) reboot 'reboot, a container holds'
let_go
rmdir "$group"

# Busy: the GPU, and every processor.
python3 "$here/gpu-faults.py" busy >"$work/busy" 2>&1 &
held=$!
sleep 6
for n in 1 2; do probe "GPU busy $n"; done
for _ in $(seq $(($(nproc) * 2))); do timeout 12 bash -c 'while :; do :; done' & done
sleep 1
for n in 1 2; do probe "GPU and processors busy $n"; done
let_go
sleep 11

# A program's own faults. The driver's lines are the record; what the probe says of them comes at once.
for fault in misaligned illegal-address hostile-name shared-address stack trap out-of-memory killed; do
  sleep 2
  attempt=1 probe "before $fault"
  dmesg --kernel >"$work/before"
  timed "fault $fault" timeout -s KILL 60 python3 "$here/gpu-faults.py" "$fault"
  sleep 1
  attempt=20 probe "after $fault"
  dmesg --kernel | tail -n +"$(($(wc -l <"$work/before") + 1))" >"$to/kernel-$fault.txt"
done
probe 'at the end'
say "gpu_recovery_action | $(nvidia-smi --query-gpu=gpu_recovery_action --format=csv,noheader) | exit $?"

# The whole buffer as the probe reads it, without what is not the driver's.
dmesg --kernel | grep -E 'NVRM|nvidia' >"$to/kernel.txt"
timed 'health check without dcgmi' sh "$scripts/health-check.sh" 1 300
command -v dcgmi nv-hostengine docker journalctl mawk gawk busybox | sed 's/^/has /' >>"$to/said.txt"
awk --version 2>/dev/null | head -n 1 >>"$to/said.txt"
