#!/usr/bin/env bash
# Prints the name of the folder, within that of the tools, in which a Kubernetes of these modules is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
echo "kubernetes-$(cat mod/go.sum dns/go.sum | sha256sum | cut -c1-16)"
