#!/usr/bin/env bash
# The image's archive: the same bytes again, whole, and what the manifests ask for.
set -euo pipefail
here=deploy/container
out=$TEST_TMPDIR
fail() {
  echo "FAILED: $1" >&2
  exit 1
}

$here/image.sh "$out/first.tar" .
$here/image.sh "$out/second.tar" .
cmp "$out/first.tar" "$out/second.tar" || fail "not the same bytes"
cmp "$out/first.tar.spdx.json" "$out/second.tar.spdx.json" || fail "not the same SBOM"

mkdir "$out/image" "$out/root"
tar -C "$out/image" -xf "$out/first.tar"
tar -C "$out/root" -xf "$out/image/layer.tar"
config=$out/image/$(grep -o '[0-9a-f]*\.json' "$out/image/manifest.json")
[ "$(sha256sum "$config" | cut -d' ' -f1).json" = "${config##*/}" ] || fail "the configuration's digest"
grep -q "sha256:$(sha256sum "$out/image/layer.tar" | cut -d' ' -f1)" "$config" || fail "the layer's digest"
grep -q '"User":"10001:10001"' "$config" || fail "its user"
name=$(grep -o 'waferstream:[^"]*' "$out/image/manifest.json")

# Nothing of this machine: every library comes out of the image, for every program.
loader=$(echo "$out"/root/usr/lib64/ld-linux-*)
libraries=$(echo "$out"/root/usr/lib/*-linux-gnu)
for program in controller memoryx swarmx wafer_node waferctl; do
  listed=$("$loader" --inhibit-cache --library-path "$libraries" --list "$out/root/usr/bin/$program")
  if other=$(grep '/' <<<"$listed" | grep -v "$out/root/"); then fail "$program: $other"; fi
done
[ "$("$loader" --library-path "$libraries" "$out/root/usr/bin/controller" --version)" = "${name#*:}" ] ||
  fail "the version"
[ -z "$(find "$out/root" -perm /6000)" ] || fail "something is setuid"
[ "$(find "$out/root/var/lib/dpkg/status.d" -type f | wc -l)" = \
  "$(grep -c 'pkg:deb' "$out/first.tar.spdx.json")" ] || fail "the SBOM is not whole"

# The name that the manifests give it, in each place where they do.
for file in deploy/kubernetes/base/kustomization.yaml deploy/kubernetes/overlays/submit/kustomization.yaml; do
  sed -n '/^images:/,$p' $file | tr -d '" ' | grep -qx "newName:${name%:*}" || fail "$file: its name"
  sed -n '/^images:/,$p' $file | tr -d '" ' | grep -qx "newTag:${name#*:}" || fail "$file: its tag"
done
