#!/usr/bin/env bash
# Counts the cases of finished Bazel tests, from their test.xml files and from what Bazel says of each
# as a whole: a test can fail after its last case, as with a leak or a data race found at exit.
#   scripts/count_tests.sh TESTLOGS SUMMARY LABEL...
# TESTLOGS is the folder bazel-testlogs, SUMMARY what `bazel test` printed. Prints a line
# "PASSED FAILED SKIPPED", then one for each label that failed and for each case that was skipped.
set -euo pipefail
logs=$1
summary=$2
shift 2

# Prints "TESTS FAILED SKIPPED" of one test.xml, then a line for each skipped case. The file is
# GoogleTest's, or Bazel's own (one case, the log at its end) for a script or a crash.
read_xml() {
  awk -v label="$2" '
    function attribute(key) {
      if (!match($0, " " key "=\"[^\"]*")) return ""
      return substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
    }
    function text(xml) {
      gsub("&#x0A;", " ", xml); gsub("&quot;", "\"", xml); gsub("&apos;", "\047", xml)
      gsub("&lt;", "<", xml); gsub("&gt;", ">", xml); gsub("&amp;", "\\&", xml)
      return xml
    }
    function skip(reason) {
      lines = lines "skipped: " label " " class "." case_name ": " reason "\n"
    }
    /<system-out>/ { exit }
    /^ *<testsuite / {
      tests += attribute("tests")
      failed += attribute("failures") + attribute("errors")
      skipped += attribute("skipped") + attribute("disabled")
    }
    /^ *<testcase / {
      class = attribute("classname"); case_name = attribute("name")
      skips = attribute("result") == "skipped"
      if (attribute("result") == "suppressed") skip("disabled")
    }
    /^ *<skipped / && skips { skips = 0; skip(text(attribute("message"))) }
    END { printf "%d %d %d\n%s", tests, failed, skipped, lines }' "$1"
}

passed=0
failed=0
skipped=0
notes=()
for label in "$@"; do
  path=${label#//}
  failed_before=$failed
  # A sharded test leaves one file a shard.
  while IFS= read -r xml; do
    mapfile -t found < <(read_xml "$xml" "$label")
    read -r tests bad left <<<"${found[0]}"
    passed=$((passed + tests - bad - left))
    failed=$((failed + bad))
    skipped=$((skipped + left))
    notes+=("${found[@]:1}")
  done < <(find "$logs/${path/:/\/}/" -name test.xml -size +0 2>/dev/null | sort)
  # Of a sharded test some shards may be cached: "(3/4 cached)".
  if ! grep -qE "^$label +(\(([0-9]+/[0-9]+ )?cached\) )?PASSED" "$summary"; then
    [ "$failed" -gt "$failed_before" ] || failed=$((failed + 1))
    notes+=("FAILED: $label$(sed -n "s|^$label  *| |p" "$summary")")
  fi
done
echo "$passed $failed $skipped"
[ ${#notes[@]} -eq 0 ] || printf '%s\n' "${notes[@]}"
