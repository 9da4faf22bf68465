#!/bin/bash
# Asks a GPU node, read-only, what happened to it: one line on stdout, in under 10 seconds whatever hangs.
# What the line means, and where each fact comes from: docs/node-scripts.md.
#
# SSM puts the parameter in as text before it runs the script; the document's allowedPattern lets digits through only.
since='{{ AttemptSeconds }}' # seconds since the attempt's start
[[ $since =~ ^[0-9]{1,8}$ ]] || { echo 'bad parameter: AttemptSeconds takes 1 to 8 digits'; exit 64; }
since=$((10#$since))

# The SSM agent waits until nobody holds the script's output any more: what is left behind must not.
exec </dev/null 2>/dev/null
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
root=${GPU_RECOVERY_ROOT:-} # a tree to read in place of /, for tests; nothing sets it on a node
deadline=$((SECONDS + 6))

read -r boot <"$root/proc/sys/kernel/random/boot_id"
read -r uptime _ <"$root/proc/uptime"
boot=${boot:-?} uptime=${uptime%.*} uptime=${uptime:-0}
printf -v now '%(%s)T' -1

# >>> xids.csv: UPDATE_NODES=1 cargo test -p tests --test nodes generated
xids_none='63 92 93 106 107 121 147 148 152 153 157 160 162 163 164'
xids_restart_app='8 11 13 25 31 32 37 38 39 40 41 43 44 45 60 66 67 68 69 70 71 72 75 76 77 80 82 83 84 85 86 88 89 94 96 97 98 99 100 101 102 103 104 105 126 127 128 129 130 131 132 133 134 135 137 139 141'
xids_inspect='9 12 16 18 19 26 27 28 29 30 33 34 35 36 42 47 59 61 65 78 81 123 142 159 161 165 166 167 169 170'
xids_reset='46 48 62 64 74 95 109 110 119 120 136 140 143 144 145 146 149 150 155 156 158 171 172'
xids_reboot='79 151 168'
xids_no_reboot_helps='54'
# <<< xids.csv

# ---------------------------------------------------------------- sensors
# Each runs in the background and writes lines into a pipe, the last of them `end` and an exit code. `timeout` ends
# what can be ended; a process in uninterruptible sleep (a wedged driver, a dead disk) is left behind with its sensor.
# Programs are run here only: below, and for what bash writes itself (no here-strings), nothing needs a disk.

smi() { timeout -s KILL 5 nvidia-smi "$@"; }

uuids() {
  local said code set
  said=$(smi --query-gpu=uuid --format=csv,noheader)
  code=$?
  set=$(printf '%s\n' "$said" | grep -E '^GPU-[0-9a-f-]{36}$' | sort -u)
  if [ -n "$set" ]; then
    said=$(printf '%s\n' "$set" | sha256sum)
    echo "gpus $(printf '%s\n' "$set" | grep -c .):${said:0:12}"
  fi
  echo "end $code"
}

# A name that the driver does not know fails the whole query, so this one is asked for alone; older drivers have it
# in -q only, and drivers before R565 not at all.
actions() {
  local said
  said=$(smi --query-gpu=gpu_recovery_action --format=csv,noheader) ||
    said=$(smi -q | sed -n 's/^ *GPU Recovery Action *: *//p')
  printf '%s\n' "$said" | head -n 64
  echo 'end 0'
}

# Reads kernel lines, oldest first; prints a finding whenever it is stronger than all before: remedy, cause, age.
# Only what the kernel itself writes at the beginning of a line counts: everything behind may hold a process's name.
findings() { # KIND: journal or ring
  awk -v kind="$1" -v earlier="$2" -v now="$now" -v uptime="$uptime" -v since="$since" \
    -v none="$xids_none" -v app="$xids_restart_app" -v inspect="$xids_inspect" -v reset="$xids_reset" \
    -v reboot="$xids_reboot" -v never="$xids_no_reboot_helps" '
    function table(list, word,   i, n, ids) {
      n = split(list, ids, " ")
      for (i = 1; i <= n; i++) remedy[ids[i]] = word
    }
    function of_xid(code, text) {
      if (code == 154) return of_action(text)
      # NVLink 5 says in the line itself whether the link survives.
      if (code >= 144 && code <= 150 && text ~ / Nonfatal / && text !~ / Fatal /) return "none"
      return (code in remedy) ? remedy[code] : "inspect"
    }
    # The words differ between drivers, the numbers do not.
    function of_action(text) {
      if (!match(text, /GPU recovery action changed from 0x[0-9a-fA-F]+ \([^)]*\) to 0x[0-9a-fA-F]+/)) return "inspect"
      text = substr(text, RSTART, RLENGTH)
      sub(/.* to 0x0*/, "", text)
      if (text == "") return "none"
      if (text ~ /^[134]$/) return "reset"
      if (text ~ /^[267]$/) return "reboot"
      return "inspect"
    }
    function found(word, cause, age) {
      if (earlier && rank[word] > rank["inspect"]) word = "inspect"
      if (rank[word] <= best) return
      best = rank[word]
      age = int(age)
      print "found", word, cause, (age < 0 ? 0 : age)
      fflush()
    }
    BEGIN {
      n = split("none restart-app inspect reset reboot no-reboot-helps", words, " ")
      for (i = 1; i <= n; i++) rank[words[i]] = i
      table(none, "none"); table(app, "restart-app"); table(inspect, "inspect")
      table(reset, "reset"); table(reboot, "reboot"); table(never, "no-reboot-helps")
      best = 1
    }
    NR == 1 { print "seen" }
    {
      text = $0
      if (kind == "journal" && match(text, /^[0-9]+\.[0-9]+ [^ ]+ kernel: /)) {
        age = now - $1
        text = substr(text, RSTART + RLENGTH)
        sub(/^\[ *[0-9]+\.[0-9]+\] /, "", text)
      } else if (kind == "ring" && match(text, /^\[ *[0-9]+\.[0-9]+\]/)) {
        age = uptime - substr(text, 2, RLENGTH - 2)
        text = substr(text, RSTART + RLENGTH)
        sub(/^ *(\[ *[TC][0-9]+\])? */, "", text) # CONFIG_PRINTK_CALLER: who printed it
        if (!begun++ && age >= since) print "covers"
        if (age > since) next
      } else {
        # The rest of a record of several lines; only a lost GPU is told so.
        sub(/^ +/, "", text)
        if (losing && text ~ /^NVRM: fallen off the bus and is not responding/) found(of_xid(79), "xid79", lost)
        next
      }

      if (text ~ /^NVRM: Xid \([0-9A-Za-z:. -]+\): [0-9]+,/) {
        sub(/^NVRM: Xid \([^)]*\): /, "", text)
        code = text + 0
        found(of_xid(code, text), "xid" code, age)
      } else if (text ~ /^nvidia-nvswitch[0-9]+: SXid \([0-9A-Za-z:.]+\): [0-9]+, /) {
        sub(/^[^)]*\): /, "", text)
        code = text + 0
        # Fabric Manager user guide: a fatal one, and 12028, ask for a restart of the system.
        if (text ~ /^[0-9]+, Fatal,/ || code == 12028) found("reboot", "sxid" code, age)
      } else if (text ~ /^NVRM: GPU [0-9a-fA-F:.]+: GPU has fallen off the bus/) {
        found(of_xid(79), "xid79", age)
      } else if (losing && text ~ /^NVRM: fallen off the bus and is not responding/) {
        found(of_xid(79), "xid79", lost)
      }
      if (text ~ /^NVRM: The NVIDIA GPU [0-9a-fA-F:.]+/) { losing = 1; lost = age }
      else if (text !~ /^NVRM: /) losing = 0
    }'
}

# The kernel's own buffer: this boot only, and it rolls over.
ring() {
  timeout -s KILL 4 dmesg --kernel | findings ring ''
  echo "end ${PIPESTATUS[0]}"
}

# journald keeps more. _TRANSPORT=kernel keeps out what a container says through syslog; -k would be this boot only.
# Another boot's lines accuse nobody: whatever they show was before a reboot.
journal() {
  local start=$((now - since)) booted=$((now - uptime)) status
  local show=(timeout -s KILL 4 journalctl --quiet --no-pager --system --output short-unix)
  # It reaches back when it has a line from before and is told the kernel's lines at all (--reverse: in old versions
  # --lines alone does not heed --until). Over a reboot it does not: journald writes to the disk every five minutes
  # (journald.conf, SyncIntervalSec), and a crash loses the rest.
  [ "$booted" -le "$start" ] &&
    [ -n "$("${show[@]}" --reverse --lines 1 --until "@$start")" ] &&
    [ -n "$("${show[@]}" --lines 1 _TRANSPORT=kernel "_BOOT_ID=${boot//-/}")" ] && echo covers
  "${show[@]}" --since "@$start" _TRANSPORT=kernel "_BOOT_ID=${boot//-/}" | findings journal ''
  status=${PIPESTATUS[0]}
  if [ "$booted" -gt "$start" ]; then
    "${show[@]}" --since "@$start" --until "@$booted" _TRANSPORT=kernel | findings journal yes
    status=$((status + PIPESTATUS[0]))
  fi
  echo "end $status"
}

# >>> holders.sh: UPDATE_NODES=1 cargo test -p tests --test nodes generated
# Who has a GPU open: one line each of kind, pid, user id and the command's name.
#   login   a process of somebody's session: ssh, console, cron, SSM Session Manager, or a command sent by SSM
#   orphan  a process of a container that docker does not run (any more)
#   task    a process of a container that docker runs, or of any container when docker gives no answer
# Services of the system (nvidia-persistenced, fabric manager, DCGM) are nobody's work and not listed.
#
# Only links and short files under /proc are read. The driver is not asked: it may hang. The memory of a process is not
# read either: /proc/PID/cmdline and environ wait for a process in uninterruptible sleep.
gpu_holders() {
  local path target pid name cgroup loginuid uid key value container running='' asked=''
  local -A works=()
  command -v find >/dev/null || return 1
  while read -r path target; do
    pid=${path#"$root/proc/"}
    pid=${pid%%/*}
    case $target in
      /dev/nvidia-uvm*) works[$pid]=yes ;; # CUDA opens it; tools that only look do not
      *) works[$pid]=${works[$pid]:-} ;;
    esac
  done < <(find "$root"/proc/[0-9]*/fd -maxdepth 1 \( -lname '/dev/nvidia[0-9]*' -o -lname '/dev/nvidia-uvm*' \) -printf '%p %l\n')

  for pid in "${!works[@]}"; do
    name='' cgroup='' loginuid='' uid='?'
    read -r -d '' name <"$root/proc/$pid/comm"
    read -r -d '' cgroup <"$root/proc/$pid/cgroup"
    read -r loginuid <"$root/proc/$pid/loginuid"
    [ -n "$cgroup" ] || continue # it has ended meanwhile
    [ "$name" = nvidia-smi ] && [ -z "${works[$pid]}" ] && continue
    while read -r key value _; do
      [ "$key" = Uid: ] && { uid=$value; break; }
    done <"$root/proc/$pid/status"
    name=${name//[^A-Za-z0-9._+-]/?} # its owner chose it

    # cgroups(7): docker names its groups after the container's id; systemd-logind puts sessions into user.slice.
    # proc(5): loginuid is set at login and inherited; 4294967295 means never.
    if [[ $cgroup == */user.slice/* ]]; then
      echo "login $pid $uid $name"
    elif [[ $cgroup =~ [0-9a-f]{64} ]]; then
      container=${BASH_REMATCH[0]}
      if [ -z "$asked" ]; then
        running=$(timeout -s KILL 3 docker ps --quiet --no-trunc) && asked=yes || asked=failed
      fi
      if [ "$asked" = yes ] && [[ $running != *$container* ]]; then
        echo "orphan $pid $uid $name"
      else
        echo "task $pid $uid $name"
      fi
    elif [ -n "$loginuid" ] && [ "$loginuid" != 4294967295 ]; then
      echo "login $pid $uid $name"
    elif [[ $cgroup == *amazon-ssm-agent* ]]; then
      echo "login $pid $uid $name"
    fi
  done
  return 0
}
# <<< holders.sh

holders() {
  gpu_holders | awk '!told[$1]++' # one of each kind will do
  echo "end ${PIPESTATUS[0]}"
}

# ---------------------------------------------------------------- answers

# Starts them all, then reads one after the other until it ends or the time is up.
exec {uuids_fd}< <(uuids) {actions_fd}< <(actions) {ring_fd}< <(ring) {journal_fd}< <(journal) {holders_fd}< <(holders)

ended='' # the exit code of the sensor last read; empty: it did not end in time
answers() { # FD FUNCTION: the function gets each line's words
  local words left
  ended=''
  while left=$((deadline - SECONDS)); [ "$left" -gt 0 ] || left=0.2; read -r -a words -t "$left" -u "$1"; do
    case ${words[0]} in
      end) ended=${words[1]}; return ;;
      *) "$2" "${words[@]}" ;;
    esac
  done
}

remedy=none cause=- age=-
rank() {
  case $1 in none) echo 0 ;; restart-app) echo 1 ;; inspect) echo 2 ;; reset) echo 3 ;; reboot) echo 4 ;; *) echo 5 ;; esac
}
# The strongest counts; of two as strong the older, and one with an age before one without.
accuse() { # REMEDY CAUSE AGE
  local mine theirs
  mine=$(rank "$1") theirs=$(rank "$remedy")
  [ "$mine" -eq 0 ] && return
  if [ "$mine" -gt "$theirs" ] || { [ "$mine" -eq "$theirs" ] && [ "$3" != - ] && { [ "$age" = - ] || [ "$3" -gt "$age" ]; }; }; then
    remedy=$1 cause=$2 age=$3
  fi
}

gpus=''
gpu_set() { gpus=$2; }
answers "$uuids_fd" gpu_set
case $ended in
  0) ;;
  '' | 137) accuse inspect hung -; gpus=${gpus:-?:-} ;;
  15) accuse reboot smi15 - ;; # nvidia-smi(1): "GPU has fallen off the bus or is otherwise inaccessible"
  *) accuse inspect "smi$ended" - ;;
esac
gpus=${gpus:-0:-}

# nvidia-smi(1) names them; the numbers are NVML's (nvmlDeviceGpuRecoveryAction_t).
action() {
  case $* in
    None | 0 | '' | *N/A* | *'Not Supported'*) ;;
    Reset | 1) accuse reset act1 - ;;
    Reboot | 2) accuse reboot act2 - ;;
    'Drain P2P' | 3) accuse reset act3 - ;;
    'Drain and Reset' | 4) accuse reset act4 - ;;
    6 | 7) accuse reboot "act$1" - ;;
    *) accuse inspect 'act?' - ;;
  esac
}
answers "$actions_fd" action

# full: one of the two reaches back to the attempt's start and was read to its end; none: neither shows a line.
log=none
kernel_line() {
  case $1 in
    seen) log=part ;;
    covers) covered=yes ;;
    found) accuse "$2" "$3" "$4" ;;
  esac
}
whole=''
for fd in "$ring_fd" "$journal_fd"; do
  covered=''
  answers "$fd" kernel_line
  [ "$ended" = 0 ] && [ -n "$covered" ] && whole=yes
done
[ -n "$whole" ] && log=full

held=none
holder() {
  case $1,$held in
    login,*) held=login ;;
    orphan,none | orphan,task) held=orphan ;;
    task,none) held=task ;;
  esac
}
answers "$holders_fd" holder
[ "$ended" = 0 ] || held='?'

echo "probe1 $boot $uptime $gpus $remedy $cause $age $log $held"
