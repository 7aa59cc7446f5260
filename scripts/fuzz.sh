#!/usr/bin/env bash
# Builds every fuzzer of tests/fuzz with clang and runs each for SECONDS (60), from its seeds and
# from what earlier runs found. One line each:
#   frame_fuzz                 ok      1234567 executions, peak 96 MiB
# Fails when one crashes, hangs for 20 s or takes 2 GiB; the input that did it is named above.
#   scripts/fuzz.sh [SECONDS [FUZZER...]]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
shift $(($# > 0))

scripts/install.sh clang-14 libclang-rt-14-dev || exit 1
if [ $# -gt 0 ]; then
  fuzzers=("$@")
else
  mapfile -t fuzzers < <(bazel query --noshow_progress 'attr(tags, "fuzz", //tests/fuzz:all)' \
    2>/dev/null | sed 's/.*://')
fi
bazel build --config=fuzz "${fuzzers[@]/#///tests/fuzz:}" >&2 || exit 1
# The next build with another configuration takes the convenience links away.
binaries=$(mktemp -d)
trap 'rm -rf "$binaries"' EXIT
cp -L "${fuzzers[@]/#/bazel-bin/tests/fuzz/}" "$binaries/"

found=${WAFERSTREAM_FUZZ_DIR:-$HOME/.cache/waferstream-fuzz}
failed=0
for fuzzer in "${fuzzers[@]}"; do
  mkdir -p "$found/$fuzzer"
  log=$found/$fuzzer.log
  if "$binaries/$fuzzer" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 \
    -print_final_stats=1 -artifact_prefix="$found/$fuzzer-" \
    "$found/$fuzzer" "tests/fuzz/corpus/$fuzzer" >"$log" 2>&1; then
    outcome=ok
  else
    outcome=FAILED
    failed=1
    grep -E 'ERROR|SUMMARY|Test unit written|WS_CHECK' "$log" >&2
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  printf '%-26s %-7s %s executions, peak %s MiB\n' "$fuzzer" "$outcome" "${executions:-?}" "${peak:-?}"
done
exit $failed
