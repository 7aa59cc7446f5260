"""What the tests share: the programs, a cluster that is up, a small job."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import waferstream

SECONDS_MAX = 60


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's cluster, and no variables, but those of the test."""
    for name in [name for name in os.environ if name.startswith("WAFERSTREAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def waferctl() -> str:
    """$WAFERCTL, as scripts/test_python.sh sets it; without it nothing can be tested."""
    return waferstream.waferctl.find_waferctl()


@pytest.fixture(scope="session")
def state_home(tmp_path_factory: pytest.TempPathFactory, waferctl: str) -> Iterator[Path]:
    """An XDG_STATE_HOME in which a cluster is up."""
    home = tmp_path_factory.mktemp("up")
    environment = {**os.environ, "XDG_STATE_HOME": str(home)}

    def run(*command: str) -> None:
        subprocess.run([waferctl, *command], env=environment, check=True, timeout=SECONDS_MAX)

    run("up", "--wafers", "2")
    yield home
    run("down")


@pytest.fixture
def client(state_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[waferstream.Client]:
    monkeypatch.setenv("XDG_STATE_HOME", str(state_home))
    with waferstream.Client() as found:
        yield found


@pytest.fixture
def tokens() -> Any:
    """Of a vocabulary of 65."""
    return np.random.default_rng(7).integers(0, 65, 3000)


@pytest.fixture
def job(tmp_path: Path, tokens: Any) -> dict[str, Any]:
    """A job file's content; its checkpoints go to ck/."""
    tokens.astype("<u2").tofile(tmp_path / "train.bin")
    return {
        "name": "small",
        "model": {
            "family": "gpt2",
            "layers": 1,
            "hidden": 16,
            "heads": 2,
            "vocab": 65,
            "context": 16,
        },
        "data": {"train": "train.bin"},
        "training": {
            "steps": 6,
            "global_batch": 4,
            "micro_batch": 2,
            "optimizer": {"adamw": {"lr": 1e-3}},
        },
        "checkpoint": {"dir": tmp_path / "ck", "every": 3},
    }
