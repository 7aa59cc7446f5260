#!/usr/bin/env bash
# Runs manifests_test.py, with the tools of scripts/get_kubernetes_tools.sh, or says that they are not there.
set -euo pipefail

if kustomize=$(command -v kustomize) && tools=$(dirname "$kustomize") &&
  [ -x "$tools/kubernetes-validate/bin/python" ]; then
  # Bazel's files are links, and kustomize follows none out of its folder.
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp -RL deploy/kubernetes "$work/"
  "$tools/kubernetes-validate/bin/python" "$work/kubernetes/manifests_test.py"
  exit
fi
scripts/skip_test.sh Manifests "no kustomize or kubernetes-validate (scripts/get_kubernetes_tools.sh)"
