#!/usr/bin/env bash
# Makes the files of the image: the five programs, the libraries that they need (of this Debian), a user,
# the certificates of public authorities, and what scanners and licences want to know of each package.
#   deploy/container/rootfs.sh FOLDER [BINARIES]
# FOLDER must not be there yet; BINARIES is bazel-bin. SBOM (SPDX 2.3) goes to FOLDER.spdx.json.
set -euo pipefail
export LC_ALL=C
root=${1:?usage: rootfs.sh FOLDER [BINARIES]}
binaries=${2:-bazel-bin}
programs=(controller/controller memoryx/memoryx swarmx/swarmx wafer_node/wafer_node client/waferctl)
authorities=/etc/ssl/certs/ca-certificates.crt

mkdir "$root" "$root"/{etc,tmp,usr,usr/bin,usr/lib,usr/lib64}
for link in bin lib lib64; do ln -s "usr/$link" "$root/$link"; done

# Names of functions stay, so that a stack trace can be read; lines are in the build's own files.
for program in "${programs[@]}"; do
  strip --strip-debug -o "$root/usr/bin/${program##*/}" "$binaries/$program"
done

# As the loader finds them, itself included; and the one that waferctl opens when it is asked to
# (data/sentence_pieces.h).
opened=/usr/lib/$(gcc -dumpmachine)/libsentencepiece.so.0
mapfile -t libraries < <((ldd "$root"/usr/bin/* "$opened" && echo "$opened") | grep -oE '^/[^ :]+\.so[^ :]*$|/[^ :]+\.so[^ :]* ' | tr -d ' ' | sort -u)
for library in "${libraries[@]}"; do
  install -D -m 755 "$(realpath "$library")" "$root/usr${library#/usr}"
done

mkdir -p "$root/etc/ssl/certs"
cp "$authorities" "$root/etc/ssl/certs/"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'waferstream:x:10001:10001::/:/sbin/nologin' >"$root/etc/passwd"
echo 'waferstream:x:10001:' >"$root/etc/group"
cp -L /etc/os-release "$root/etc/os-release"

# The packages that these files are of; dpkg knows some by the name that they had before /usr was merged. The
# file of authorities is made when its package is installed, and so is of none.
mapfile -t files < <(realpath "${libraries[@]}")
owners=$(dpkg -S "${files[@]}" "${files[@]#/usr}" 2>/dev/null || true)
for file in "${files[@]}"; do
  grep -q "/${file##*/}\$" <<<"$owners" || { echo "rootfs.sh: $file is of no package" >&2; exit 1; }
done
packages=$({ sed 's/: .*//' <<<"$owners" && echo ca-certificates; } | sort -u)

version=$("$root/usr/bin/controller" --version)
spdx=$root.spdx.json
{
  printf '{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT",'
  printf '"name":"waferstream-%s","documentNamespace":"urn:waferstream:image:%s",' "$version" \
    "$(cat "$root"/usr/bin/* | sha256sum | cut -d' ' -f1)"
  printf '"creationInfo":{"created":"1970-01-01T00:00:00Z","creators":["Tool: rootfs.sh"]},\n"packages":[\n'
  printf '{"name":"waferstream","SPDXID":"SPDXRef-waferstream","versionInfo":"%s",' "$version"
  printf '"downloadLocation":"NOASSERTION","filesAnalyzed":false}'
  for package in $packages; do
    name=${package%%:*}
    read -r release source < <(dpkg-query -W -f '${Version} ${source:Package}\n' "$package")
    printf ',\n{"name":"%s","SPDXID":"SPDXRef-%s","versionInfo":"%s",' "$name" "${name//+/-plus}" "$release"
    printf '"sourceInfo":"%s","downloadLocation":"NOASSERTION","filesAnalyzed":false,' "$source"
    printf '"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl",'
    printf '"referenceLocator":"pkg:deb/debian/%s@%s?distro=debian-12"}]}' "${name//+/%2B}" "${release//+/%2B}"
  done
  printf '\n],\n"relationships":[\n{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES",'
  printf '"relatedSpdxElement":"SPDXRef-waferstream"}'
  for package in $packages; do
    name=${package%%:*}
    printf ',\n{"spdxElementId":"SPDXRef-waferstream","relationshipType":"DEPENDS_ON",'
    printf '"relatedSpdxElement":"SPDXRef-%s"}' "${name//+/-plus}"
  done
  printf '\n]}\n'
} >"$spdx"

for package in $packages; do
  name=${package%%:*}
  mkdir -p "$root/var/lib/dpkg/status.d" "$root/usr/share/doc/$name"
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$name"
  cp -L "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/"
done
chmod -R u=rwX,go=rX "$root"
chmod 1777 "$root/tmp"
