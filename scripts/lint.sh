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
    # omp.h is GCC's, and so are its attributes' arguments; the other headers of its folder are not for
    # clang, which finds its own first.
    gcc_headers=$(dirname "$(gcc -print-file-name=include/omp.h)")
    export gcc_headers
    # The files on standard input, with $1 beside the checks of .clang-tidy. The count of what it hides in
    # system headers goes to stderr, for every file.
    tidy() {
      checks=$1 xargs -P "$(nproc)" -n 4 sh -c '
        clang-tidy-14 --quiet --checks="$checks" "$@" -- -std=c++20 -I. -Ibazel-bin \
          -idirafter "$gcc_headers" "-D__malloc__(...)=__malloc__" -DSPDLOG_COMPILED_LIB \
          -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL' tidy \
        2> >(grep -vE '^[0-9]+ warnings? (generated|treated as errors?)\.?$' >&2)
    }
    # isa.cc asks for CPU features that clang 14 has no names for.
    beyond='co_await|ExternalCertificateVerifier'
    git ls-files '*.cc' ':!wafer_node/kernels/isa.cc' | xargs grep -LE "$beyond" | tidy ''
    # clang 14's analyzer does not follow coroutines (it sees uninitialised frames inside Asio), nor who owns
    # gRPC's verifiers.
    git ls-files '*.cc' | xargs grep -lE "$beyond" | tidy '-clang-analyzer-*'
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
