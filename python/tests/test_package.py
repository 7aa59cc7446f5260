"""The package itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import waferstream

FILES = sorted(Path(waferstream.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_is_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 9))


def test_says_that_it_is_typed() -> None:
    assert (Path(waferstream.__file__).parent / "py.typed").exists()


def test_does_without_pytorch_until_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(waferstream.UsageError, match=r"pip install waferstream\[torch\]"):
        waferstream.train(object(), [1, 2], steps=1, lr=1e-3)
