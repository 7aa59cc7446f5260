"""Checkpoint folders: config.json, safetensors, waferstream.json (docs/CHECKPOINTS.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from waferstream.errors import NotFoundError, UsageError

PathLike = Union[str, "os.PathLike[str]"]

CONFIG = "config.json"
MANIFEST = "waferstream.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
OPTIMIZER = "optimizer.safetensors"


class Tensors(Mapping[str, npt.NDArray[Any]]):
    """Tensors by name, in the order of names. Each is read when it is asked for, and not kept."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._file_of = dict(sorted(files.items()))

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        path = self._file_of[name]
        with _opened(path) as file:
            try:
                found: npt.NDArray[Any] = file.get_tensor(name)
            except TypeError:  # bf16: NumPy has none
                raise UsageError(f"{path}: {name} is of a type that NumPy does not have") from None
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._file_of)

    def __len__(self) -> int:
        return len(self._file_of)

    def shape(self, name: str) -> tuple[int, ...]:
        """Without reading the tensor."""
        with _opened(self._file_of[name]) as file:
            return tuple(file.get_slice(name).get_shape())


@dataclass(frozen=True)
class Checkpoint:
    """A folder that is one, as found at `path`. Nothing is verified; `waferctl checkpoint list
    --verify` reads and compares every byte."""

    path: Path
    config: Mapping[str, Any]
    manifest: Optional[Mapping[str, Any]]  # None: another program's, or an export
    tensors: Tensors
    optimizer: Tensors  # of nothing where there is no state

    @staticmethod
    def open(path: PathLike) -> Checkpoint:
        """NotFoundError: there is none. UsageError: a file of it cannot be read; the line names it."""
        folder = Path(path)
        if not (folder / CONFIG).is_file():
            raise NotFoundError(f"{folder}: no checkpoint (it has no {CONFIG})")
        has_manifest = (folder / MANIFEST).is_file()
        return Checkpoint(
            path=folder,
            config=_read_json(folder / CONFIG),
            manifest=_read_json(folder / MANIFEST) if has_manifest else None,
            tensors=Tensors(_weight_files(folder)),
            optimizer=Tensors(_names_in(folder / OPTIMIZER)),
        )

    @property
    def step(self) -> int:
        """Optimizer updates that the weights have; 0 for another program's."""
        return int(self._of_manifest("steps_done") or 0)

    @property
    def loss(self) -> Optional[float]:
        """Of the last step; None at step 0, or when it was not a number."""
        found = self._of_manifest("loss")
        return float(found) if found is not None and self.step > 0 else None

    @property
    def weights_hash(self) -> str:
        return str(self._of_manifest("weights_hash") or "")

    @property
    def optimizer_hash(self) -> str:
        return str(self._of_manifest("optimizer_hash") or "")

    @property
    def job(self) -> Optional[Mapping[str, Any]]:
        """The job that wrote it, as the manifest has it."""
        found = self._of_manifest("job")
        return found if isinstance(found, dict) else None

    def _of_manifest(self, key: str) -> Any:
        return self.manifest.get(key) if self.manifest is not None else None


def list_checkpoints(path: PathLike) -> list[Checkpoint]:
    """Those in a folder of checkpoints, or in a run folder's, by step; none that is being written."""
    folder = Path(path)
    if (folder / "checkpoints").is_dir():
        folder = folder / "checkpoints"
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: is no folder")
    found = [Checkpoint.open(one) for one in folder.glob("step-*") if (one / CONFIG).is_file()]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def _weight_files(folder: Path) -> dict[str, Path]:
    index = folder / INDEX
    if index.is_file() and not (folder / WEIGHTS).is_file():
        weight_map = _read_json(index).get("weight_map")
        if not isinstance(weight_map, dict):
            raise UsageError(f"{index}: has no weight_map")
        return {name: folder / Path(str(file)).name for name, file in weight_map.items()}
    found = _names_in(folder / WEIGHTS)
    if not found:
        raise UsageError(f"{folder}: has no {WEIGHTS}")
    return found


def _names_in(path: Path) -> dict[str, Path]:
    if not path.is_file():
        return {}
    with _opened(path) as file:
        return dict.fromkeys(file.keys(), path)


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="np")
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path}: {error}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(f"{path}: is not JSON") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: is not a JSON object")
    return found
