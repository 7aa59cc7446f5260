#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test, and says how long each part took.
# Closes with "N passed, N failed" or "N passed, N failed, N skipped", counted in test cases.
#   ./test.sh          what every change must pass
#   ./test.sh --long   also clang-tidy, the slow tests (tag "long"; as root one of them on a Kubernetes
#                      that it makes itself), 20,000 fresh seeds of the chaos simulation (a test), the
#                      unit tests with addresses and undefined behaviour checked, and the fuzzers (a
#                      test each)
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
skipped=0
notes=() # a line for each failure and each skipped case, for the end
times=()
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  failed=$((failed + 1))
  notes+=("FAILED: $1")
}

# Runs one part and says how long it took: part NAME COMMAND...
part() {
  local name=$1 start=$SECONDS status=0
  shift
  printf '\n== %s\n' "$name"
  "$@" || status=$?
  times+=("$(printf '%6d s  %s' $((SECONDS - start)) "$name")")
  printf '== %s: %d s\n' "$name" $((SECONDS - start))
  return $status
}

# A part that is one check: check NAME COMMAND...
check() {
  if part "$@"; then passed=$((passed + 1)); else fail "$1"; fi
}

# Runs the Bazel tests given by a query expression, with further flags: bazel_tests QUERY [FLAG...]
bazel_tests() {
  local query=$1 labels label path logs good bad left
  shift
  mapfile -t labels < <(bazel query --noshow_progress --ui_event_filters=-info "$query" 2>/dev/null)
  if [ ${#labels[@]} -eq 0 ]; then fail "no tests match $query"; return; fi
  logs=$(bazel info --noshow_progress "$@" bazel-testlogs 2>/dev/null)
  # What an earlier run left behind is not this one's.
  for label in "${labels[@]}"; do path=${label#//}; rm -rf "${logs:?}/${path/:/\/}"; done
  bazel test --keep_going "$@" "${labels[@]}" | tee "$work/summary"
  {
    read -r good bad left
    mapfile -t -O ${#notes[@]} notes
  } < <(scripts/count_tests.sh "$logs" "$work/summary" "${labels[@]}")
  passed=$((passed + good))
  failed=$((failed + bad))
  skipped=$((skipped + left))
}

# A test each; scripts/fuzz.sh prints a line for each.
fuzzers() {
  local name outcome rest
  scripts/fuzz.sh | tee "$work/fuzzers"
  [ -s "$work/fuzzers" ] || fail "the fuzzers did not run"
  while read -r name outcome rest; do
    if [ "$outcome" = ok ]; then passed=$((passed + 1)); else fail "$name: $rest"; fi
  done <"$work/fuzzers"
}

# The Python package: scripts/test_python.sh counts its cases itself.
python_tests() {
  local good bad left
  scripts/test_python.sh "$tools" "$work/python"
  [ -s "$work/python" ] || { fail "the Python package was not tested"; return; }
  {
    read -r good bad left
    mapfile -t -O ${#notes[@]} notes
  } <"$work/python"
  passed=$((passed + good))
  failed=$((failed + bad))
  skipped=$((skipped + left))
}

finish() {
  printf '\n'
  printf '%s\n' "${times[@]}" "${notes[@]}"
  local skips=""
  [ "$skipped" -eq 0 ] || skips=", $skipped skipped"
  echo "$passed passed, $failed failed$skips"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

# What the tests use and nothing else does; without it those that need it are skipped.
tools=${XDG_CACHE_HOME:-$HOME/.cache}/waferstream-tools
install() {
  scripts/install.sh || return
  scripts/get_promtool.sh "$tools" || true
  scripts/get_kubernetes_tools.sh "$tools" || true
  if $long; then scripts/get_kubernetes_cluster.sh "$tools" || true; fi
}

part "install" install || { fail "install"; finish; }
export PATH="$PATH:$tools"
check "formatting" scripts/lint.sh
part "build" bazel build //... || { fail "build"; finish; }
part "tests" bazel_tests 'tests(//...) except attr(tags, "long", tests(//...))'
part "Python" python_tests
if $long; then
  check "clang-tidy" scripts/lint.sh --tidy
  part "long tests" bazel_tests 'attr(tags, "long", tests(//...))'
  # Says which seeds they are; a violation says how it is replayed.
  check "20000 fresh seeds" bazel-bin/sim/chaos --first 0 --seeds 20000 --threads "$(nproc)"
  unit='tests(//...) except attr(tags, "(long|processes)", tests(//...))'
  # Not under tsan: Debian's Abseil is not built with it, so it knows no absl::Mutex.
  part "unit tests, asan" bazel_tests "$unit" --config=asan
  part "fuzzers" fuzzers
fi
finish
