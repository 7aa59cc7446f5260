"""Makes the protobuf and gRPC code of the package while it is built; pyproject.toml has the rest."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
PROTO = HERE.parent / "proto"
# What a client needs: the controller's service and all that it imports.
FILES = ("controller.proto", "job.proto", "node.proto")
PACKAGE = "waferstream/_proto"


def stage(root: Path) -> list[str]:
    """Puts the files under the package's own name, so that the generated imports are the package's."""
    folder = root / PACKAGE
    folder.mkdir(parents=True)
    for name in FILES:
        text = (PROTO / name).read_text(encoding="utf-8")
        text = text.replace('import "proto/', f'import "{PACKAGE}/')
        (folder / name).write_text(text, encoding="utf-8")
    return [f"{PACKAGE}/{name}" for name in FILES]


def generate(out: Path) -> None:
    """Writes OUT/waferstream/_proto."""
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as root:
        files = stage(Path(root))
        shutil.rmtree(out / PACKAGE, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        flags = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
        if protoc.main(["protoc", f"-I{root}", f"-I{well_known}", *flags, *files]) != 0:
            raise SystemExit("setup.py: protoc refused the files of proto/")
    (out / PACKAGE / "__init__.py").write_text("", encoding="utf-8")


class BuildWithProto(build_py):
    def run(self) -> None:
        super().run()
        # An editable install is used where it lies.
        generate(HERE if getattr(self, "editable_mode", False) else Path(self.build_lib))


def requirements() -> list[str]:
    """What the generated code asks of its two libraries: grpc of its own version on; protobuf of the
    version that protoc writes for, to the end of the next major one."""
    grpc = importlib.metadata.version("grpcio-tools")
    with tempfile.TemporaryDirectory() as out:
        generate(Path(out))
        text = (Path(out) / PACKAGE / "job_pb2.py").read_text(encoding="utf-8")
    version = re.search(r"Protobuf Python Version: (([0-9]+)[0-9.]*)", text)
    if version is None:
        raise SystemExit("setup.py: the generated code does not say for which protobuf it is")
    protobuf = f"protobuf>={version[1]},<{int(version[2]) + 2}"
    return [f"grpcio>={grpc}", protobuf, "numpy>=1.22", "safetensors>=0.4"]


setup(cmdclass={"build_py": BuildWithProto}, install_requires=requirements())
