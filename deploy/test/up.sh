#!/usr/bin/env bash
# Runs a command beside a Kubernetes: API server, controller manager, scheduler, etcd, names, and two nodes.
#   deploy/test/up.sh BINARIES IMAGE.tar COMMAND...
# BINARIES is the folder of scripts/get_kubernetes_cluster.sh. The command has kubectl and KUBECONFIG; its end, or
# that of this script however it comes about, is that of all: everything is in namespaces which end with their
# first process, on file systems that are in memory and theirs. Needs root.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 3 ] || { echo "usage: up.sh BINARIES IMAGE.tar COMMAND..." >&2; exit 2; }
export BINARIES IMAGE
BINARIES=$(realpath "$1")
IMAGE=$(realpath "$2")
shift 2
for path in "$here" "$BINARIES" "$IMAGE"; do
  case $path in
    /run/* | /var/*) echo "up.sh: $path: inside, /run and /var are others" >&2; exit 1 ;;
  esac
done

# A run that was killed could not remove its groups: the number of its process is free again.
for left in $(find /sys/fs/cgroup -maxdepth 2 -name 'waferstream-test-*' -printf '%f\n' | sort -u); do
  [ -d "/proc/${left##*-}" ] || "$here/cgroups.sh" remove "$left"
done

export CGROUP=waferstream-test-$$
namespaces=
finish() {
  [ -z "$namespaces" ] || kill -KILL "$namespaces" 2>/dev/null || true # its child dies with it
  wait
  "$here/cgroups.sh" remove "$CGROUP"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP
if ! why=$("$here/cgroups.sh" make "$CGROUP" && "$here/cgroups.sh" make "$CGROUP/control"); then
  echo "up.sh: $why" >&2
  exit 1
fi
unset TMPDIR
(
  "$here/cgroups.sh" join "$CGROUP/control" $BASHPID
  # The kernel ends it when this script is killed.
  exec setpriv --pdeathsig KILL unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc \
    "$here/inside.sh" "$@"
) <&0 &
namespaces=$!
status=0
wait "$namespaces" || status=$?
namespaces=
exit $status
