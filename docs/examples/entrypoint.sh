#!/bin/sh
# The container's entry point: torchrun, with its end translated for gpu-recovery.
#
# torchrun ends with 1 whatever its workers end with, so a code of their own needs a file. A shell that is process 1 hands no
# signal on by itself, so it does that too: without the trap, SIGTERM would be lost and ECS would kill all after `stopTimeout`.
export NO_RECOVERY_FILE=/tmp/no-recovery
rm -f "$NO_RECOVERY_FILE"

torchrun "$@" &
trap 'kill -TERM $!' TERM INT
wait $!
code=$?
# A wait that a signal ends says nothing about torchrun: wait for it once more.
while kill -0 $! 2>/dev/null; do
  wait $!
  code=$?
done

[ -e "$NO_RECOVERY_FILE" ] && exit 93
exit "$code"
