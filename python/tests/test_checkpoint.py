"""Checkpoint folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import waferstream
from waferstream import Checkpoint, Client, list_checkpoints


def test_checkpoints_of_a_job(client: Client, job: dict[str, Any], tmp_path: Path) -> None:
    done = client.wait(client.submit(job))
    found = list_checkpoints(tmp_path / "ck")
    assert [one.step for one in found] == [3, 6]
    last = found[-1]
    assert last.path == Path(done.checkpoint)
    assert (last.loss, last.weights_hash, last.optimizer_hash) == (
        done.losses[5],
        done.weights_hash,
        done.optimizer_hash,
    )
    assert last.config["model_type"] == "gpt2"
    assert last.job is not None and last.job["name"] == "small"
    assert list(last.tensors) == sorted(last.tensors) and len(last.tensors) == 16
    assert last.tensors.shape("transformer.wte.weight") == (65, 16)
    embedding = last.tensors["transformer.wte.weight"]
    assert embedding.shape == (65, 16) and embedding.dtype == np.float32
    assert set(last.optimizer) == {
        f"{state}.{name}" for name in last.tensors for state in ("exp_avg", "exp_avg_sq")
    }


def make(folder: Path, **files: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for name, tensors in files.items():
        save_file(tensors, folder / name)
    return folder


def test_another_programs_has_no_manifest(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", **{"model.safetensors": {"x": np.ones(3, np.float32)}})
    found = Checkpoint.open(folder)
    assert (found.step, found.loss, found.weights_hash, found.manifest) == (0, None, "", None)
    assert found.tensors["x"].tolist() == [1, 1, 1] and len(found.optimizer) == 0
    with pytest.raises(KeyError):
        found.tensors["y"]


def test_shards_are_one(tmp_path: Path) -> None:
    shards = {
        "model-00001-of-00002.safetensors": {"b": np.zeros(2, np.float32)},
        "model-00002-of-00002.safetensors": {"a": np.ones(1, np.float32)},
    }
    folder = make(tmp_path / "a", **shards)
    index = {name: file for file, tensors in shards.items() for name in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    found = Checkpoint.open(folder)
    assert list(found.tensors) == ["a", "b"]
    assert found.tensors["a"].tolist() == [1] and found.tensors["b"].tolist() == [0, 0]


def test_what_is_none_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(waferstream.NotFoundError, match="has no config.json"):
        Checkpoint.open(tmp_path)
    with pytest.raises(waferstream.NotFoundError, match="nowhere"):
        list_checkpoints(tmp_path / "nowhere")
    folder = make(tmp_path / "a")
    with pytest.raises(waferstream.UsageError, match="has no model.safetensors"):
        Checkpoint.open(folder)
    (folder / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(waferstream.UsageError, match="model.safetensors"):
        Checkpoint.open(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(waferstream.UsageError, match="config.json: is not a JSON object"):
        Checkpoint.open(folder)
