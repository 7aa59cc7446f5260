"""Compiles .proto files with Debian's protoc and its gRPC plugin."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def wire_proto(name, src, deps = [], grpc = False, **kwargs):
    """One .proto file as a C++ library.

    Args:
      name: the library.
      src: the .proto file, in this package.
      deps: wire_proto libraries that it imports.
      grpc: also generate the service stubs.
      **kwargs: passed to cc_library.
    """
    stem = src[:-len(".proto")]
    kinds = ["pb"] + (["grpc.pb"] if grpc else [])
    outs = [stem + "." + k + e for k in kinds for e in [".h", ".cc"]]
    flags = ["--cpp_out=$(GENDIR)"]
    if grpc:
        flags += ["--grpc_out=$(GENDIR)", "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"]
    native.genrule(
        name = name + "_gen",
        srcs = native.glob(["*.proto"]),
        outs = outs,
        cmd = "/usr/bin/protoc -I. " + " ".join(flags) + " $(location " + src + ")",
    )
    cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-Wno-unused-parameter"],
        deps = deps + (["//third_party/system:grpc"] if grpc else ["//third_party/system:protobuf"]),
        **kwargs
    )
