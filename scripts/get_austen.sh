#!/usr/bin/env bash
# Makes austen.train.txt and austen.val.txt in the given folder from Debian's r-cran-janeaustenr (six
# novels, public domain). Does nothing when they are there. Needs the built //data:austen.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:?usage: get_austen.sh FOLDER}
[ -s "$out/austen.train.txt" ] && [ -s "$out/austen.val.txt" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "Fetching six novels of Jane Austen (Debian package r-cran-janeaustenr)" >&2
(cd "$work" && apt-get download -qq r-cran-janeaustenr 2>"$work/apt.log") || {
  echo "get_austen.sh: apt-get download r-cran-janeaustenr failed: $(tail -n 1 "$work/apt.log")" >&2
  exit 1
}
dpkg-deb -x "$work"/r-cran-janeaustenr_*.deb "$work/package"
rdb=$(find "$work/package" -name Rdata.rdb)
mkdir -p "$out"
"$root/bazel-bin/data/austen" "$rdb" "$out"
