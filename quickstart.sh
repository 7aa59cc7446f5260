#!/usr/bin/env bash
# From a fresh clone on Debian 12 to a trained model: installs what is missing, builds, learns a small
# vocabulary from the novels of Jane Austen, trains a small GPT on them with a local cluster of five
# processes (four minutes on two cores of an EPYC without AVX-512), shows how the loss fell, and lets the model write.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf '\n== %s\n' "$*" >&2; }
waferctl=bazel-bin/client/waferctl

say "1/5 Packages (those of scripts/packages.txt that are missing are installed)"
scripts/install.sh

say "2/5 Build (the first time, half an hour on two cores)"
bazel build //client:waferctl //data:austen

say "3/5 Text to tokens: a vocabulary of 1024, learnt from the text"
scripts/get_austen.sh examples
tokenizer=examples/austen-tokenizer
prepare() { "$waferctl" data prepare "examples/austen.$1.txt" -o "examples/austen.$1.bin" --overwrite "${@:2}"; }
[ -d "$tokenizer" ] && by=(--tokenizer "$tokenizer") || by=(--learn 1024 --save-tokenizer "$tokenizer")
prepare train "${by[@]}"
prepare val --tokenizer "$tokenizer"

say "4/5 Train: controller, MemoryX, SwarmX and two wafer nodes, each a process of its own"
run_dir="runs/quickstart-$(date -u +%Y%m%d-%H%M%S)"
"$waferctl" run -f examples/austen.yaml --run-dir "$run_dir"

say "5/5 A sample from the trained model"
checkpoint=$(find "$run_dir/checkpoints" -maxdepth 1 -name 'step-*' | sort | tail -n 1)
prompt="It is a truth universally acknowledged, that"
printf '%s' "$prompt"
"$waferctl" generate --checkpoint "$checkpoint" --prompt "$prompt" --tokens 120 --temperature 0.5

say "Done"
echo "checkpoint: $checkpoint" >&2
echo "logs:       $run_dir/logs" >&2
