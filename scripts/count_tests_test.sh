#!/usr/bin/env bash
# scripts/count_tests.sh over one test of each way to end.
set -euo pipefail
logs=$TEST_TMPDIR/logs
summary=$TEST_TMPDIR/summary

# Writes a test.xml from stdin: xml FOLDER
xml() { mkdir -p "$logs/$1" && cat >"$logs/$1/test.xml"; }

# What Bazel writes for a script, a crash or a timeout: bazel_xml FOLDER ERRORS LOG
bazel_xml() {
  xml "$1" <<END
<testsuites>
  <testsuite name="$1" tests="1" failures="0" errors="$2">
    <testcase name="$1" status="run"></testcase>
      <system-out>
<![CDATA[$3]]>
      </system-out>
    </testsuite>
</testsuites>
END
}

googletest_xml() {
  xml "$1" <<'END'
<testsuites tests="5" failures="1" disabled="1" errors="0" name="AllTests">
  <testsuite name="Link" tests="5" failures="1" disabled="1" skipped="1" errors="0">
    <testcase name="Opens" status="run" result="completed" classname="Link" />
    <testcase name="Closes" status="run" result="completed" classname="Link">
      <failure message="first"><![CDATA[first]]></failure>
      <failure message="second, of the same case"><![CDATA[second]]></failure>
    </testcase>
    <testcase name="Moves" status="run" result="skipped" classname="Link">
      <skipped message="link_test.cc:3&#x0A;no &quot;netns&quot; &amp; no root"><![CDATA[]]></skipped>
    </testcase>
    <testcase name="DISABLED_Later" status="notrun" result="suppressed" classname="Link" />
    <testcase name="Waits" status="run" result="completed" classname="Link" />
  </testsuite>
</testsuites>
END
}

good_xml() {
  xml "$1" <<'END'
<testsuites tests="2" failures="0" disabled="0" errors="0" name="AllTests">
  <testsuite name="Tile" tests="2" failures="0" disabled="0" skipped="0" errors="0">
  </testsuite>
</testsuites>
END
}

# expect WANT LABEL...: what is counted for these labels.
expect() {
  local want=$1 got
  shift
  got=$(scripts/count_tests.sh "$logs" "$summary" "$@")
  [ "$got" = "$want" ] && return
  printf 'for %s\nwant:\n%s\ngot:\n%s\n' "$*" "$want" "$got"
  exit 1
}

cat >"$summary" <<'END'
//a:good_test                                    (cached) PASSED in 0.1s
//a:script_test                                           PASSED in 0.3s
//a:mixed_test                                            FAILED in 0.2s
//a:leak_test                                             FAILED in 0.2s
//a:crash_test                                            FAILED in 0.1s
//a:hang_test                                            TIMEOUT in 5.0s
//a:shard_test                              (1/2 cached) FAILED in 1 out of 2 in 0.4s
//a:broken_test                                         FAILED TO BUILD
//a:partly_test                              (3/4 cached) PASSED in 4.0s
END

good_xml a/good_test
expect "2 0 0" //a:good_test

bazel_xml a/script_test 0 '  <testsuite name="x" tests="3" failures="2">'
expect "1 0 0" //a:script_test

googletest_xml a/mixed_test
expect '2 1 2
skipped: //a:mixed_test Link.Moves: link_test.cc:3 no "netns" & no root
skipped: //a:mixed_test Link.DISABLED_Later: disabled
FAILED: //a:mixed_test FAILED in 0.2s' //a:mixed_test

# Every case passed, then the process ended with an error.
good_xml a/leak_test
expect "2 1 0
FAILED: //a:leak_test FAILED in 0.2s" //a:leak_test

bazel_xml a/crash_test 1 '[ RUN      ] A.Aborts'
expect "0 1 0
FAILED: //a:crash_test FAILED in 0.1s" //a:crash_test

bazel_xml a/hang_test 1 '-- Test timed out'
expect "0 1 0
FAILED: //a:hang_test TIMEOUT in 5.0s" //a:hang_test

good_xml a/shard_test/shard_1_of_2
bazel_xml a/shard_test/shard_2_of_2 1 '[ RUN      ] A.Aborts'
expect "2 1 0
FAILED: //a:shard_test (1/2 cached) FAILED in 1 out of 2 in 0.4s" //a:shard_test

good_xml a/partly_test/shard_1_of_4
good_xml a/partly_test/shard_2_of_4
expect "4 0 0" //a:partly_test

# Neither of these has a test.xml; of the second Bazel says nothing at all.
expect "0 1 0
FAILED: //a:broken_test FAILED TO BUILD" //a:broken_test
expect "2 1 0
FAILED: //a:lost_test" //a:lost_test //a:good_test
echo "every way to end is counted"
