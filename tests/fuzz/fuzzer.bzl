"""A libFuzzer binary: built by `bazel build --config=fuzz`, run by scripts/fuzz.sh."""

load("@rules_cc//cc:defs.bzl", "cc_binary")

def fuzzer(name, deps):
    """The fuzzer of NAME.cc; its seeds lie in corpus/NAME.

    Not part of //...: the normal build has neither clang nor its runtime.
    """
    cc_binary(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        linkopts = ["-fsanitize=fuzzer"],
        tags = [
            "fuzz",
            "manual",
        ],
        deps = deps,
    )
