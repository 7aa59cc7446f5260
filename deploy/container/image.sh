#!/usr/bin/env bash
# Makes the image without a daemon: an archive for `docker load`, `podman load`, `ctr images import` or `kind load
# image-archive`, the same to the byte for the same binaries and packages; and its SBOM, OUT.spdx.json.
#   deploy/container/image.sh OUT.tar [BINARIES]
set -euo pipefail
out=${1:?usage: image.sh OUT.tar [BINARIES]}
binaries=${2:-bazel-bin}
here=$(dirname "${BASH_SOURCE[0]}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/rootfs.sh" "$work/root" "$binaries"
version=$("$work/root/usr/bin/controller" --version)
"$here/archive.sh" "$work/root" "waferstream:$version" \
  '{"User":"10001:10001","Env":["PATH=/usr/bin"],"WorkingDir":"/"}' "$out"
cp "$work/root.spdx.json" "$out.spdx.json"
