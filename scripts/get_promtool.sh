#!/usr/bin/env bash
# Puts promtool into the given folder, out of Debian's package prometheus, which is not installed for it:
# that would start a server. Does nothing when it is there, or anywhere on the path.
set -euo pipefail
out=${1:?usage: get_promtool.sh FOLDER}
{ [ -x "$out/promtool" ] || command -v promtool >/dev/null; } && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "Fetching promtool (of Debian's package prometheus, which is not installed)" >&2
(cd "$work" && apt-get download -qq prometheus 2>"$work/apt.log") || {
  echo "get_promtool.sh: apt-get download prometheus failed: $(tail -n 1 "$work/apt.log")" >&2
  exit 1
}
dpkg-deb -x "$work"/prometheus_*.deb "$work/package"
mkdir -p "$out"
cp "$work/package/usr/bin/promtool" "$out/"
