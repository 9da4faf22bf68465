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
