#!/usr/bin/env bash
# Measures this machine: tables on stdout, the same as JSON in bench/results.json.
#   bench/run.sh [--quick] [--against OLD.json] [TABLE...]
# Tables: step, tiny, fabric, optimizer (these four without a name), faults, hosts, tokens. `--quick` makes
# the four in about five minutes; without it they take half an hour. `--help` says the rest.
#   PYTHON=/path/to/python3   an interpreter with torch and numpy for the peers (default: python3); DeepSpeed
#                             is measured where it has that, too
#   REFERENCE=reference_train.py   the peer's script (default: ../shared/peers/reference_train.py)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/install.sh python3-minimal iperf3
bazel build //client:waferctl //bench:all
exec /usr/bin/python3 bench/run.py "$@"
