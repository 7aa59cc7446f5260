#!/usr/bin/env bash
# From a fresh clone on Debian 12 to a trained model: installs what is missing, builds, trains a small
# GPT on Jane Austen with a local cluster of six processes (about three minutes), and lets it write.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf '\n== %s\n' "$*" >&2; }

say "1/4 Packages (those of scripts/packages.txt that are missing are installed)"
scripts/install.sh

say "2/4 Build"
bazel build //client:waferctl //data:austen

say "3/4 Train: controller, MemoryX, SwarmX and two wafer nodes, each a process of its own"
scripts/get_austen.sh examples
run_dir="runs/quickstart-$(date -u +%Y%m%d-%H%M%S)"
bazel-bin/client/waferctl run -f examples/austen.yaml --run-dir "$run_dir"

say "4/4 A sample from the trained model"
checkpoint=$(find "$run_dir/checkpoints" -maxdepth 1 -name 'step-*' | sort | tail -n 1)
prompt="It is a truth "
printf '%s' "$prompt"
bazel-bin/client/waferctl generate --checkpoint "$checkpoint" --prompt "$prompt" --tokens 240

say "Done"
echo "checkpoint: $checkpoint" >&2
echo "logs:       $run_dir/logs" >&2
