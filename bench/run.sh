#!/usr/bin/env bash
# Measures this machine: one table on stdout, the same as JSON in bench/results.json. Needs no
# arguments; takes 10 to 25 minutes, most of it the PyTorch peer where that is installed. With --quick
# the training rows only, on a quarter of the batch: 3 to 5 minutes, the same ratios.
# `bench/run.sh faults` measures recovery instead (bench/faults.json; about ten minutes).
# `bench/run.sh fabric` measures channels over MPI beside its own collectives, and over TCP.
# `bench/run.sh hosts` measures steps on hosts (network namespaces) whose links are the bottleneck, beside
# what the plan predicts (bench/hosts.json; six minutes).
# `bench/run.sh tokens` measures `data prepare` beside Python's tokenizers (two minutes).
#   PYTHON=/path/to/python3   an interpreter with torch and numpy for the peer (default: python3)
#   REFERENCE=reference_train.py   the peer's script (default: ../shared/peers/reference_train.py)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/install.sh python3-minimal
bazel build //client:waferctl //bench:all
exec /usr/bin/python3 bench/run.py "$@"
