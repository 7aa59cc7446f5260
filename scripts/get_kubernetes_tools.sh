#!/usr/bin/env bash
# Puts into the given folder what the tests of deploy/kubernetes need: kustomize, built with Go, and a virtual
# environment of Python with kubernetes-validate, which has the schemas of Kubernetes' versions. Does nothing
# when they are there. Without a Go that can build kustomize, that of Debian's packages fetches one that can;
# neither is installed.
set -euo pipefail
out=${1:?usage: get_kubernetes_tools.sh FOLDER}
kustomize=v5.8.1
validate=1.37.0
toolchain=go1.24.6 # what this kustomize asks for, at least

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

fail() {
  echo "get_kubernetes_tools.sh: $1: $(tail -n 1 "$work/log")" >&2
  exit 1
}

# Go 1.21 and later fetch what a module asks for by themselves.
have_go() {
  local minor
  minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  [ "${minor:-0}" -ge 21 ]
}

# Leaves a toolchain's go on the path.
get_go() {
  local package module
  (cd "$work" && apt-get download -qq golang-1.19-go golang-1.19-src >"$work/log" 2>&1) ||
    fail "apt-get download golang-1.19-go"
  for package in "$work"/golang-*.deb; do dpkg-deb -x "$package" "$work/debian"; done
  module=golang.org/toolchain@v0.0.1-$toolchain.linux-$(dpkg --print-architecture)
  (cd "$work" && debian/usr/lib/go-1.19/bin/go mod download "$module" >"$work/log" 2>&1) || fail "$module"
  chmod -R u+x "$GOPATH/pkg/mod/$module/bin" "$GOPATH/pkg/mod/$module/pkg/tool"
  export PATH=$GOPATH/pkg/mod/$module/bin:$PATH
}

if [ ! -x "$out/kustomize-$kustomize" ]; then
  echo "Building kustomize $kustomize (with Go; a minute of a processor)" >&2
  export GOPATH=$work/go GOCACHE=$work/cache GOFLAGS=-modcacherw GOTOOLCHAIN=auto
  export XDG_CONFIG_HOME=$work # where Go counts its uses
  have_go || get_go
  GOBIN=$work/bin go install "sigs.k8s.io/kustomize/kustomize/v5@$kustomize" >"$work/log" 2>&1 ||
    fail "go install kustomize"
  mv "$work/bin/kustomize" "$out/kustomize-$kustomize"
fi
ln -sfn "kustomize-$kustomize" "$out/kustomize"

if [ ! -e "$out/kubernetes-validate-$validate/ready" ]; then
  echo "Fetching kubernetes-validate $validate" >&2
  environment=$out/kubernetes-validate-$validate
  rm -rf "$environment"
  python3 -m venv "$environment" >"$work/log" 2>&1 || fail "python3 -m venv"
  "$environment/bin/pip" install -q --disable-pip-version-check "kubernetes-validate==$validate" \
    >"$work/log" 2>&1 || fail "pip install kubernetes-validate"
  touch "$environment/ready" # the rest is whole
fi
ln -sfn "kubernetes-validate-$validate" "$out/kubernetes-validate"
