#!/usr/bin/env bash
# Puts into the given folder what the tests of deploy/kubernetes need: kustomize, built with Go, and a virtual
# environment of Python with kubernetes-validate, which has the schemas of Kubernetes' versions. Does nothing
# when they are there. Without a Go that can build kustomize, that of Debian's packages fetches one that can;
# neither is installed.
set -euo pipefail
out=${1:?usage: get_kubernetes_tools.sh FOLDER}
kustomize=v5.8.1
validate=1.37.0
go=1.24.6 # what this kustomize asks for, at least

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

. "$(dirname "${BASH_SOURCE[0]}")/go.sh"

if [ ! -x "$out/kustomize-$kustomize" ]; then
  echo "Building kustomize $kustomize (with Go; a minute of a processor)" >&2
  use_go "$go"
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
