#!/usr/bin/env bash
# Runs cluster_test.py beside a Kubernetes (up.sh), or says why it cannot.
set -euo pipefail
here=deploy/test

skip() {
  scripts/skip_test.sh Cluster "$1"
  exit
}

[ "$(id -u)" -eq 0 ] || skip "only for root"
try=waferstream-test-$$
why=$($here/cgroups.sh make $try) || skip "$why"
$here/cgroups.sh remove $try
unshare --net --mount --pid --uts --ipc --fork true 2>/dev/null || skip "no namespaces can be made"
name=$($here/binaries.sh)
binaries=
for folder in ${PATH//:/ }; do [ ! -e "$folder/$name" ] || binaries=$folder/$name; done
[ -n "$binaries" ] || skip "no $name (scripts/get_kubernetes_cluster.sh)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Bazel's files are links, and kustomize follows none out of its folder.
mkdir "$work/deploy"
cp -RL deploy/kubernetes deploy/container $here "$work/deploy/"
deploy/container/image.sh "$work/image.tar" .
"$work/$here/up.sh" "$binaries" "$work/image.tar" python3 "$work/$here/cluster_test.py"
