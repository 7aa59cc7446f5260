#!/usr/bin/env bash
# Runs a command beside a Kubernetes: API server, controller manager, scheduler, etcd, names, and two nodes.
#   deploy/test/up.sh BINARIES IMAGE.tar COMMAND...
# BINARIES is the folder of scripts/get_kubernetes_cluster.sh. The command has kubectl and KUBECONFIG; its end, or
# that of this script however it comes about, is that of all: everything is in namespaces which end with their
# first process, on file systems that are in memory and theirs. Needs root.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export BINARIES=${1:?usage: up.sh BINARIES IMAGE.tar COMMAND...} IMAGE=$2
shift 2

# A run that was killed could not remove its groups: the number of its process is free again.
for left in $(find /sys/fs/cgroup -maxdepth 2 -name 'waferstream-test-*' -printf '%f\n' | sort -u); do
  [ -d "/proc/${left##*-}" ] || "$here/cgroups.sh" remove "$left"
done

export CGROUP=waferstream-test-$$
work=$(mktemp -d)
namespaces=
finish() {
  [ -z "$namespaces" ] || kill -KILL "$namespaces" 2>/dev/null || true # its child dies with it
  wait
  "$here/cgroups.sh" remove "$CGROUP"
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP
if ! why=$("$here/cgroups.sh" make "$CGROUP"); then
  echo "up.sh: $why" >&2
  exit 1
fi
unset TMPDIR
# The kernel ends it when this script is killed.
setpriv --pdeathsig KILL unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc \
  "$here/inside.sh" "$@" </dev/null &
namespaces=$!
status=0
wait "$namespaces" || status=$?
namespaces=
exit $status
