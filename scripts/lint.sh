#!/usr/bin/env bash
# Checks formatting, and that no program calls what throws on the world's account or misreads numbers
# (lint_calls.pl); with --fix mends the format; with --tidy runs clang-tidy over every source (minutes).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mapfile -t sources < <(git ls-files '*.cc' '*.h')
case "${1:-}" in
  --fix) clang-format-14 -i "${sources[@]}" ;;
  --tidy)
    bazel build //... >&2
    git ls-files '*.cc' | xargs -P "$(nproc)" -n 4 sh -c '
      clang-tidy-14 --quiet "$@" -- -std=c++20 -I. -Ibazel-bin \
        -DSPDLOG_COMPILED_LIB -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL 2>/dev/null' tidy
    ;;
  "")
    clang-format-14 --dry-run --Werror "${sources[@]}"
    if git grep -nE 'Create(Custom)?Channel|ServerBuilder|Insecure(Channel|Server)Cred' -- \
      '*.cc' '*.h' ':!rpc/'; then
      echo "lint.sh: gRPC channels and servers are made in rpc/ alone" >&2
      exit 1
    fi
    # Tests may throw: that fails them.
    git ls-files '*.cc' '*.h' | grep -vE '_test\.cc$|^tests/' | xargs grep -L gtest |
      xargs perl scripts/lint_calls.pl
    ;;
  *) echo "usage: lint.sh [--fix|--tidy]" >&2; exit 2 ;;
esac
