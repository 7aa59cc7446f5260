#!/usr/bin/env bash
# start_node.sh NAME: begins a node (node.sh) in namespaces of its own, plugged into the switch. Killing the process
# whose number is in $CLUSTER/NAME/pid is a host whose power is cut.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$1
number=${name#node}
mkdir -p "$CLUSTER/$name"
"$here/cgroups.sh" make "$CGROUP/$name"
unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc "$here/node.sh" "$name" \
  >"$CLUSTER/log/$name.log" 2>&1 </dev/null &
outer=$!
pid=
until [ -n "$pid" ]; do pid=$(cat /proc/$outer/task/$outer/children); done
echo "${pid% }" >"$CLUSTER/$name/pid"
ip link add "$name" type veth peer name eth0 netns "${pid% }"
ip link set "$name" master switch up
ip route replace "10.244.$number.0/24" via "10.250.0.1$number"
