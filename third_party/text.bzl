"""The Rust library of data/text, which Cargo builds (scripts/text.sh), as @text//:text."""

_SOURCES = [
    "Cargo.toml",
    "src/chat.rs",
    "src/cuts.rs",
    "src/ffi.rs",
    "src/learn.rs",
    "src/lib.rs",
    "src/rows.rs",
    "src/tokenizer.rs",
]

_BUILD = """
cc_library(
    name = "text",
    srcs = ["libwaferstream_text.a"],
    linkopts = ["-ldl", "-lm", "-lpthread"],
    visibility = ["//visibility:public"],
)
"""

def _text_library_impl(context):
    # Asking for their paths makes the library anew when one of them has changed.
    for source in _SOURCES:
        context.path(Label("@waferstream//data/text:" + source))
    script = context.path(Label("@waferstream//scripts:text.sh"))
    built = context.execute([script], timeout = 3600)
    if built.return_code != 0:
        fail("scripts/text.sh: " + built.stderr)
    context.symlink(built.stdout.strip() + "/libwaferstream_text.a", "libwaferstream_text.a")
    context.file("BUILD.bazel", _BUILD)

text_library = repository_rule(
    implementation = _text_library_impl,
    local = True,
)
