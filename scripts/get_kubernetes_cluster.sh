#!/usr/bin/env bash
# Puts into the given folder what deploy/test/up.sh makes a Kubernetes of: Kubernetes, etcd and CoreDNS, built with Go
# from the modules of deploy/test, and Debian's containerd, runc, network plugins and nft, unpacked and not installed.
# Needs root, as the test does. Does nothing when they are there; else ten minutes of two processors, and 3 GiB of
# memory. A GOCACHE and a GOMODCACHE of the environment are used, and kept.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: get_kubernetes_cluster.sh FOLDER}
packages=(containerd runc containernetworking-plugins nftables)
go=1.24.6
version=$(sed -n 's/^\tk8s.io\/kubernetes //p' "$here/../deploy/test/mod/go.mod")

ready=$out/$("$here/../deploy/test/binaries.sh")
[ ! -e "$ready" ] || exit 0
[ "$(id -u)" -eq 0 ] || { echo "get_kubernetes_cluster.sh: only for root" >&2; exit 1; }

mkdir -p "$out"
work=$(mktemp -d "$out/building.XXXXXX") # beside it, for a rename at the end
trap 'rm -rf "$work"' EXIT
. "$here/go.sh"

echo "Fetching Debian's ${packages[*]}" >&2
mkdir -p "$work/debs/partial" "$work/bin/debian"
apt-get update -qq >"$work/log" 2>&1 || fail "apt-get update"
# With those that they need and that are not installed.
apt-get install -qq --no-install-recommends --download-only --reinstall -o Dir::Cache::archives="$work/debs" \
  "${packages[@]}" >"$work/log" 2>&1 || fail "apt-get install --download-only"
for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$work/bin/debian"; done

echo "Building Kubernetes ${version%% *} (with Go; ten minutes of two processors)" >&2
use_go "$go"
export CGO_ENABLED=0
minor=${version#v1.}
component=k8s.io/component-base/version
build() { # MODULE PACKAGE...
  (cd "$here/../deploy/test/$1" && shift && nice go build -trimpath -buildvcs=false -ldflags "-s -w
    -X $component.gitVersion=$version -X $component.gitMajor=1 -X $component.gitMinor=${minor%%.*}" \
    -o "$work/bin/" "$@" >"$work/log" 2>&1) || fail "go build of deploy/test/$1"
}
build dns ./...
build mod ./...
for program in kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet; do
  ln -s kubernetes "$work/bin/$program"
done
mv -T "$work/bin" "$ready"
