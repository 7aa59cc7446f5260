#!/usr/bin/env bash
# Builds the Rust library of data/text into the cache, unless just this one is there, and prints where its folder is.
# Bazel calls it (third_party/text.bzl). It fetches the crates that Cargo.toml names with their exact versions.
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../data/text" && pwd)
home=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
cache=${XDG_CACHE_HOME:-$home/.cache}/waferstream-tools
release_min=88 # of Rust 1, which the crates ask for

# Debian's rustc-web and cargo-web, or newer ones on the path.
release() { "$1" --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p'; }
cargo=
for candidate in /usr/bin/cargo cargo; do
  [ "$(release "$candidate" || true)" ] && [ "$(release "$candidate")" -ge "$release_min" ] && cargo=$candidate && break
done
[ "$cargo" ] || { echo "text.sh: no cargo of Rust 1.$release_min or later; scripts/install.sh installs one" >&2; exit 1; }

key=$(cat "$source/Cargo.toml" "$source"/src/*.rs <("$cargo" --version) "${BASH_SOURCE[0]}" | sha256sum | cut -c1-16)
out=$cache/text-$key
if [ ! -f "$out/libwaferstream_text.a" ]; then
  echo "Building data/text (Rust; some minutes the first time)" >&2
  # Cargo writes its lock file beside what it builds, so that is a copy. One build at a time: they share the crates.
  work=$cache/text-build
  mkdir -p "$work"
  exec 9>"$work/lock"
  flock 9
  [ ! -f "$out/libwaferstream_text.a" ] || { echo "$out"; exit; } # somebody else has built it meanwhile
  rm -rf "$work/source/src"
  mkdir -p "$work/source"
  cp -r "$source/Cargo.toml" "$source/src" "$work/source/"
  # rustc beside the cargo that was chosen.
  [ "$cargo" = /usr/bin/cargo ] && export RUSTC=/usr/bin/rustc
  (cd "$work/source" && "$cargo" build --quiet --release --target-dir "$work/target") >&2
  partial=$(mktemp -d "$cache/text-partial.XXXXXX")
  trap 'rm -rf "$partial"' EXIT
  strip --strip-debug -o "$partial/libwaferstream_text.a" "$work/target/release/libwaferstream_text.a"
  mv "$partial" "$out"
fi
echo "$out"
