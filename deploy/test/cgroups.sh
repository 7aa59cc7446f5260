#!/usr/bin/env bash
# Control groups are in no namespace: cgroups.sh make|remove NAME, in every hierarchy there is (one with version 2), or
# cgroups.sh join NAME PROCESS. "make" says why in one line where it cannot.
set -uo pipefail
name=$2
mapfile -t hierarchies < <(findmnt -rnt cgroup,cgroup2 -o TARGET)

make_in() {
  local folder=$1/$name parent file controller
  mkdir -p "$folder" || return
  parent=$(dirname "$folder")
  # Version 1: a new group may run on no processor until somebody says so.
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$1/tasks" ] || [ ! -e "$folder/$file" ] || cat "$parent/$file" >"$folder/$file" || return
  done
  # All that is in it is against what else runs as a whole: not as one process, but as many.
  for file in cpu.shares=4096 cpu.weight=400; do
    [ ! -e "$folder/${file%=*}" ] || echo "${file#*=}" >"$folder/${file%=*}" || return
  done
  # Version 2: a group has the controllers that those above it pass on. The first one passes on what it does.
  [ "$parent" != "$1" ] || return 0
  for controller in $(cat "$parent/cgroup.controllers" 2>/dev/null); do
    echo "+$controller" >"$parent/cgroup.subtree_control" || true
  done
}

remove_in() {
  local try
  for try in $(seq 50); do # processes that were killed take a moment
    [ -d "$1/$name" ] || return 0
    find "$1/$name" -depth -type d -exec rmdir {} \; 2>/dev/null
    sleep 0.1
  done
  [ ! -d "$1/$name" ] || { echo "cgroups.sh: $1/$name: cannot be removed" >&2; return 1; }
}

status=0
case "$1" in
  make)
    [ ${#hierarchies[@]} -gt 0 ] || { echo "no control groups are mounted"; exit 1; }
    for hierarchy in "${hierarchies[@]}"; do
      make_in "$hierarchy" 2>/dev/null || { echo "no control group can be made in $hierarchy"; exit 1; }
    done
    ;;
  join) for hierarchy in "${hierarchies[@]}"; do echo "$3" >"$hierarchy/$name/cgroup.procs" || status=1; done ;;
  remove) for hierarchy in "${hierarchies[@]}"; do remove_in "$hierarchy" || status=1; done ;;
esac
exit $status
