# Sourced by scripts that build with Go. They have a folder $work, which they remove, with all that this leaves in it.

# What failed, with the last line of $work/log.
fail() {
  echo "${0##*/}: $1: $(tail -n 1 "$work/log")" >&2
  exit 1
}

# use_go VERSION: leaves a go on the path that can build what asks for that version. Go 1.21 and later fetch what a
# module asks for by themselves; without one, that of Debian's packages fetches it. Neither is installed.
use_go() {
  local toolchain=go$1 minor package module
  export GOPATH=$work/go GOCACHE=${GOCACHE:-$work/cache} GOFLAGS=-modcacherw GOTOOLCHAIN=auto
  export XDG_CONFIG_HOME=$work # where Go counts its uses
  minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  [ "${minor:-0}" -lt 21 ] || return 0
  (cd "$work" && apt-get download -qq golang-1.19-go golang-1.19-src >"$work/log" 2>&1) ||
    fail "apt-get download golang-1.19-go"
  for package in "$work"/golang-*.deb; do dpkg-deb -x "$package" "$work/debian"; done
  module=golang.org/toolchain@v0.0.1-$toolchain.linux-$(dpkg --print-architecture)
  (cd "$work" && debian/usr/lib/go-1.19/bin/go mod download "$module" >"$work/log" 2>&1) || fail "$module"
  chmod -R u+x "$GOPATH/pkg/mod/$module/bin" "$GOPATH/pkg/mod/$module/pkg/tool"
  export PATH=$GOPATH/pkg/mod/$module/bin:$PATH
}
