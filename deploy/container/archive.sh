#!/usr/bin/env bash
# Makes an image's archive of the files below a folder, the same to the byte for the same files.
#   deploy/container/archive.sh FOLDER NAME:TAG CONFIG OUT.tar
# CONFIG is what a container of it runs and as whom: the value of "config" in the image's configuration.
set -euo pipefail
export LC_ALL=C
folder=$1
name=$2
config=$3
out=$4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pack() { tar --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "$@"; }
digest() { sha256sum "$1" | cut -d' ' -f1; }

mkdir "$work/image"
pack -C "$folder" -cf "$work/image/layer.tar" .
cat >"$work/config" <<END
{"architecture":"$(dpkg --print-architecture)","os":"linux","created":"1970-01-01T00:00:00Z",
"config":$config,
"rootfs":{"type":"layers","diff_ids":["sha256:$(digest "$work/image/layer.tar")"]},
"history":[{"created":"1970-01-01T00:00:00Z","created_by":"deploy/container/archive.sh"}]}
END
file=$(digest "$work/config").json
mv "$work/config" "$work/image/$file"
echo "[{\"Config\":\"$file\",\"RepoTags\":[\"$name\"],\"Layers\":[\"layer.tar\"]}]" >"$work/image/manifest.json"
pack -C "$work/image" -cf "$out" manifest.json "$file" layer.tar
echo "$out: $name, $(($(stat -c %s "$out") >> 20)) MiB, sha256 $(digest "$out")"
