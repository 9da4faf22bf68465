#!/bin/bash
# Reboots the node, but only out of the boot that the order names. Exit codes and words: docs/node-scripts.md.
#
# The agent runs a script that exits 194 again after the reboot (Systems Manager user guide, send-commands-reboot), and an
# order may come late or twice: every run looks at the boot id, and needs no clock and no mark on a disk. Nor is an order good for
# the rest of its boot: an agent that hangs may run it when the node works again. The uptime bounds that; no clock sets it.
# SSM puts the parameters in as text before it runs the script; the document's allowedPatterns let a UUID and digits through only.
order='{{ BootId }}'
until='{{ UntilUptime }}' # seconds since the boot
uuid='^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
[[ $order =~ $uuid ]] || { echo 'bad parameter: BootId takes a boot id, as the probe gives it'; exit 64; }
[[ $until =~ ^[0-9]{1,9}$ ]] || { echo 'bad parameter: UntilUptime takes 1 to 9 digits'; exit 64; }

# The SSM agent waits until nobody holds the script's output any more: what is left behind must not.
exec </dev/null 2>/dev/null
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
root=${GPU_RECOVERY_ROOT:-} # a tree to read in place of /, for tests; nothing sets it on a node

boot=''
read -r boot <"$root/proc/sys/kernel/random/boot_id"
[[ $boot =~ $uuid ]] || { echo "refused: this node's boot id cannot be read"; exit 74; }
if [ "$boot" != "$order" ]; then
  echo "nothing to do: the order is for boot $order, this is boot $boot"
  exit 0
fi
uptime=''
read -r uptime _ <"$root/proc/uptime"
uptime=${uptime%.*}
[[ $uptime =~ ^[0-9]+$ ]] || { echo "refused: this node's uptime cannot be read"; exit 74; }
if [ "$uptime" -gt "$until" ]; then
  echo "nothing to do: the order was good for $until s of this boot, it is $uptime s old"
  exit 0
fi

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

holders() { gpu_holders; echo "end $?"; }

# The user's name without asking a directory service, which may hang.
user_name() { # UID
  local name id
  while IFS=: read -r name _ id _; do
    [ "$id" = "$1" ] && { echo "${name//[^A-Za-z0-9._+-]/?}"; return; }
  done <"$root/etc/passwd"
  echo "user $1"
}

# In the background, and given up after 20 seconds: nothing ends a process in uninterruptible sleep.
exec {holders_fd}< <(holders)
sessions=0 first='' ended=''
while read -r -t 20 -u "$holders_fd" kind pid uid name; do
  case $kind in
    end) ended=$pid; break ;;
    login)
      sessions=$((sessions + 1))
      [ -n "$first" ] || first="pid $pid of $(user_name "$uid") (${name:0:15})"
      ;;
  esac
done

if [ "$ended" != 0 ]; then
  echo 'refused: cannot see who holds the GPUs'
  exit 74
fi
if [ "$sessions" -gt 0 ]; then
  more=''
  [ "$sessions" -gt 1 ] && more=" and $((sessions - 1)) more"
  echo "refused: a login session holds a GPU: $first$more"
  exit 75
fi

echo "rebooting: boot $boot"
exit 194
