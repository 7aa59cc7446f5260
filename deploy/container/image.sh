#!/usr/bin/env bash
# Makes the image without a daemon: an archive for `docker load`, `podman load`, `ctr images import` or `kind load
# image-archive`, the same to the byte for the same binaries and packages; and its SBOM, OUT.spdx.json.
#   deploy/container/image.sh OUT.tar [BINARIES]
set -euo pipefail
export LC_ALL=C
out=${1:?usage: image.sh OUT.tar [BINARIES]}
binaries=${2:-bazel-bin}
here=$(dirname "${BASH_SOURCE[0]}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pack() { tar --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "$@"; }
digest() { sha256sum "$1" | cut -d' ' -f1; }

"$here/rootfs.sh" "$work/root" "$binaries"
version=$("$work/root/usr/bin/controller" --version)
architecture=$(dpkg --print-architecture)

mkdir "$work/image"
pack -C "$work/root" -cf "$work/image/layer.tar" .
cat >"$work/config" <<END
{"architecture":"$architecture","os":"linux","created":"1970-01-01T00:00:00Z",
"config":{"User":"10001:10001","Env":["PATH=/usr/bin"],"WorkingDir":"/"},
"rootfs":{"type":"layers","diff_ids":["sha256:$(digest "$work/image/layer.tar")"]},
"history":[{"created":"1970-01-01T00:00:00Z","created_by":"deploy/container/image.sh"}]}
END
config=$(digest "$work/config").json
mv "$work/config" "$work/image/$config"
echo "[{\"Config\":\"$config\",\"RepoTags\":[\"waferstream:$version\"],\"Layers\":[\"layer.tar\"]}]" \
  >"$work/image/manifest.json"
pack -C "$work/image" -cf "$out" manifest.json "$config" layer.tar
cp "$work/root.spdx.json" "$out.spdx.json"
echo "$out: waferstream:$version, $(($(stat -c %s "$out") >> 20)) MiB, sha256 $(digest "$out")"
