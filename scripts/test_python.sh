#!/usr/bin/env bash
# Checks the Python package: its style and types, and its tests against the programs of bazel-bin.
#   scripts/test_python.sh TOOLS COUNTS [PYTEST ARGUMENT...]
# TOOLS is a folder that keeps what is installed for it: a virtual environment beside Debian's PyTorch
# (of python/tests/requirements.txt). COUNTS is written: a line "PASSED FAILED SKIPPED", then one for each
# case that failed or was skipped. Style and types are a case each.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$(mkdir -p "${1:?usage: test_python.sh TOOLS COUNTS}" && cd "$1" && pwd)
counts=$(realpath -m "${2:?usage: test_python.sh TOOLS COUNTS}")
shift 2
wants=python/tests/requirements.txt
venv=$tools/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What was not run has failed.
give_up() {
  echo "test_python.sh: $1" >&2
  printf '0 1 0\nFAILED: python: %s\n' "$1" >"$counts"
  exit 1
}

# Made anew when what it is to have changes; it is there only once it is whole.
if ! cmp -s "$wants" "$venv/requirements.txt"; then
  echo "Installing PyTorch of Debian, and packages of $wants into $venv" >&2
  scripts/install.sh python3-venv python3-torch || give_up "python3-torch cannot be installed"
  rm -rf "$venv"
  /usr/bin/python3 -m venv --system-site-packages "$venv" &&
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wants" ||
    give_up "pip install -r $wants failed"
  cp "$wants" "$venv/requirements.txt"
fi

# Built in a copy: a build leaves its traces beside the source.
cp -r python proto "$work/" &&
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --no-index --target "$work/site" "$work/python" || give_up "pip install ./python failed"

passed=0
failed=0
notes=()
check() {
  local name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && notes+=("FAILED: python: $name"); fi
}
style() { "$venv/bin/ruff" check --no-cache --quiet python && "$venv/bin/ruff" format --no-cache --quiet --check python; }
types() { (cd "$work/site" && "$venv/bin/mypy" --config-file "$work/python/pyproject.toml" --cache-dir "$work/mypy" waferstream); }
check "ruff" style
check "mypy --strict" types

export WAFERCTL=${WAFERCTL:-$PWD/bazel-bin/client/waferctl}
(cd "$work/python" && rm -rf waferstream build &&
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$work/site "$venv/bin/python" -m pytest -q -p no:cacheprovider \
    --basetemp "$work/tmp" --junitxml "$work/tests.xml" "$@")
python3 - "$work/tests.xml" >"$work/counts" <<'END' || give_up "pytest ran no test"
import sys
import xml.etree.ElementTree as xml

cases = list(xml.parse(sys.argv[1]).getroot().iter("testcase"))
bad = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
left = [c for c in cases if c.find("skipped") is not None]
if not cases:
    sys.exit(1)
print(len(cases) - len(bad) - len(left), len(bad), len(left))
for case in bad:
    print(f"FAILED: python: {case.get('classname')}.{case.get('name')}")
for case in left:
    reason = (case.find("skipped").get("message") or "").splitlines()[0]
    print(f"skipped: python: {case.get('classname')}.{case.get('name')}: {reason}")
END
{
  read -r good bad left
  mapfile -t -O ${#notes[@]} notes
} <"$work/counts"
{
  echo "$((passed + good)) $((failed + bad)) $left"
  [ ${#notes[@]} -eq 0 ] || printf '%s\n' "${notes[@]}"
} >"$counts"
[ $((failed + bad)) -eq 0 ]
