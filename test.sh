#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test. Closes with "N passed, N failed",
# counted in test cases.
#   ./test.sh          what every change must pass
#   ./test.sh --long   also the slow tests (tag "long"), the sanitizers, the fuzzers (a test each)
#                      and clang-tidy
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

long=false
case "${1:-}" in
  "") ;;
  --long) long=true ;;
  *) echo "usage: test.sh [--long]" >&2; exit 2 ;;
esac

passed=0
failed=0

# Adds one check that is not a Bazel test: check NAME COMMAND...
check() {
  local name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
}

# Adds the cases of one test.xml: of GoogleTest, or Bazel's own for a script (one case).
count_xml() {
  local tests failures
  tests=$(grep -oE '<testsuites? [^>]*' "$1" | head -n 1 | grep -oE ' tests="[0-9]+"' | tr -dc 0-9)
  failures=$(grep -cE '<(failure|error)[ >]' "$1")
  [ "$failures" -gt "${tests:-0}" ] && tests=$failures
  passed=$((passed + ${tests:-0} - failures))
  failed=$((failed + failures))
}

# Runs the Bazel tests given by a query expression, with further flags: bazel_tests QUERY [FLAG...]
bazel_tests() {
  local query=$1 labels label xml xmls
  shift
  labels=$(bazel query --noshow_progress --ui_event_filters=-info "$query" 2>/dev/null)
  if [ -z "$labels" ]; then failed=$((failed + 1)); echo "FAILED: no tests match $query"; return; fi
  for label in $labels; do rm -rf "bazel-testlogs/$(label_path "$label")"; done
  # shellcheck disable=SC2086  # labels hold no spaces
  bazel test --keep_going "$@" $labels
  for label in $labels; do
    # A sharded test leaves one file a shard.
    xmls=$(find "bazel-testlogs/$(label_path "$label")/" -name test.xml -size +0 2>/dev/null)
    for xml in $xmls; do count_xml "$xml"; done
    if [ -z "$xmls" ]; then failed=$((failed + 1)); echo "FAILED: $label did not run"; fi
  done
}

# A test each; scripts/fuzz.sh prints a line for each.
fuzzers() {
  local lines
  lines=$(scripts/fuzz.sh)
  echo "$lines"
  if [ -z "$lines" ]; then failed=$((failed + 1)); echo "FAILED: the fuzzers did not run"; fi
  passed=$((passed + $(grep -cE '_fuzz +ok ' <<<"$lines")))
  failed=$((failed + $(grep -cE '_fuzz +FAILED ' <<<"$lines")))
}

label_path() { local path=${1#//}; echo "${path/:/\/}"; }

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

if ! scripts/install.sh; then failed=1; finish; fi
check "formatting (scripts/lint.sh)" scripts/lint.sh
bazel build //... || { failed=$((failed + 1)); finish; }
bazel_tests 'tests(//...) except attr(tags, "long", tests(//...))'
if $long; then
  bazel_tests 'attr(tags, "long", tests(//...))'
  unit='tests(//...) except attr(tags, "(long|processes)", tests(//...))'
  bazel_tests "$unit" --config=asan
  bazel_tests "$unit" --config=ubsan
  fuzzers
  check "clang-tidy" scripts/lint.sh --tidy
fi
finish
