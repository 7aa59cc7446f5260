"""Which tensors of a module are which parameters: views of its own memory, by Hugging Face's names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from waferstream.checkpoint import CONFIG, INDEX, WEIGHTS, Checkpoint
from waferstream.errors import UsageError

# A shard is made in memory; a parameter larger than this has one of its own.
_SHARD_BYTES = 1 << 30

_POSITIONS = "transformer.wpe.weight"

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """A part of a parameter. `view` shares the module's memory; what is written to it is the module's.
    None: the module has no such tensor, and it is zeros, not trained."""

    view: Any
    shape: tuple[int, ...]  # as it lies in the parameter

    def read(self) -> Array:
        if self.view is None:
            return np.zeros(self.shape, np.float32)
        found: Array = self.view.detach().cpu().float().numpy()
        return found.reshape(self.shape)

    def write(self, value: Array) -> None:
        import torch

        if self.view is None:
            return
        with torch.no_grad():
            self.view.copy_(torch.from_numpy(np.ascontiguousarray(value)).view(self.view.shape))


@dataclass(frozen=True)
class Parameter:
    """One of the family's parameters: pieces, one after the other along `axis`."""

    name: str
    pieces: tuple[Piece, ...]
    axis: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        first = list(self.pieces[0].shape)
        first[self.axis] = sum(piece.shape[self.axis] for piece in self.pieces)
        return tuple(first)

    @property
    def is_absent(self) -> bool:
        return all(piece.view is None for piece in self.pieces)

    def read(self) -> Array:
        parts = [piece.read() for piece in self.pieces]
        return np.ascontiguousarray(
            parts[0] if len(parts) == 1 else np.concatenate(parts, self.axis)
        )

    def write(self, value: Array) -> None:
        at = 0
        for piece in self.pieces:
            size = piece.shape[self.axis]
            piece.write(np.take(value, range(at, at + size), self.axis))
            at += size


def whole(name: str, view: Any) -> Parameter:
    """A parameter that is one tensor of the module."""
    return Parameter(name, (Piece(view, tuple(view.shape)),))


@dataclass(frozen=True)
class MappedModel:
    """A module as a model of a family. Nothing of it is copied."""

    config: Mapping[str, Any]  # what config.json says
    parameters: tuple[Parameter, ...]
    context: int  # the longest sequence that it takes
    vocab: int
    dropout: float  # of embeddings and of what each half of a layer adds
    frozen: tuple[str, ...] = field(default=())  # names of parameters that are not trained
    module_of: Mapping[str, str] = field(default_factory=dict)  # by parameter, for messages
    # A token whose embedding PyTorch does not train, and the Embedding that says so.
    padding: Optional[tuple[int, str]] = None

    def save(self, folder: Path) -> None:
        """Writes it as a checkpoint folder, in fp32. The folder is there, and empty."""
        text = json.dumps(dict(self.config), indent=2) + "\n"
        (folder / CONFIG).write_text(text, encoding="utf-8")
        shards = list(self._shards())
        weight_map: dict[str, str] = {}
        for number, names in enumerate(shards, 1):
            file = WEIGHTS
            if len(shards) > 1:
                file = f"model-{number:05}-of-{len(shards):05}.safetensors"
            save_file({p.name: p.read() for p in names}, folder / file, {"format": "pt"})
            weight_map.update({p.name: file for p in names})
        if len(shards) > 1:
            index = json.dumps({"metadata": {}, "weight_map": weight_map}, indent=2)
            (folder / INDEX).write_text(index, encoding="utf-8")

    def for_context(self, context: Optional[int]) -> MappedModel:
        """The same for sequences of that length: of a longer table of positions its beginning, and the
        rest stays as it is. UsageError: nobody says how long they are, or they are too long."""
        length = context or self.context
        if not length:
            raise UsageError(
                "context: the module does not say how long its sequences are; give one"
            )
        if length > self.context > 0:
            raise UsageError(f"context: {length} is more than the module's {self.context}")
        cut = tuple(_cut(p, length) if p.name == _POSITIONS else p for p in self.parameters)
        config = dict(self.config)
        if any(p.name == _POSITIONS for p in cut):
            config["n_positions"] = length
        return replace(self, config=config, parameters=cut, context=length)

    def load(self, checkpoint: Checkpoint) -> None:
        """Brings a checkpoint's weights into the module, in place. UsageError, and the module is as it
        was: the checkpoint has not just these parameters."""
        names = {parameter.name for parameter in self.parameters}
        for name in sorted(names ^ set(checkpoint.tensors)):
            has = "has no" if name in names else "has a"
            raise UsageError(f"{checkpoint.path}: {has} tensor {name}, unlike the module")
        for parameter in self.parameters:
            shape = checkpoint.tensors.shape(parameter.name)
            if shape != parameter.shape:
                raise UsageError(
                    f"{checkpoint.path}: {parameter.name} is {shape}, in the module "
                    f"{parameter.shape}"
                )
            if parameter.name in self.frozen and not np.array_equal(
                checkpoint.tensors[parameter.name], parameter.read()
            ):
                raise UsageError(
                    f"{checkpoint.path}: {parameter.name} was trained, although frozen"
                )
        for parameter in self.parameters:
            parameter.write(checkpoint.tensors[parameter.name])

    def _shards(self) -> Iterator[list[Parameter]]:
        shard: list[Parameter] = []
        size = 0
        for parameter in self.parameters:
            size_of = 4 * int(np.prod(parameter.shape))
            if shard and size + size_of > _SHARD_BYTES:
                yield shard
                shard, size = [], 0
            shard.append(parameter)
            size += size_of
        yield shard


def _cut(positions: Parameter, length: int) -> Parameter:
    return whole(positions.name, positions.pieces[0].view[:length])


def module_of(tensor_name: str) -> str:
    """ "h.0.attn" of "h.0.attn.bias"."""
    return tensor_name.rpartition(".")[0] or tensor_name


def first_of(values: Mapping[str, Any], *keys: str) -> Optional[Any]:
    """The first of these that is said."""
    return next((values[key] for key in keys if values.get(key) is not None), None)


def padding_of(module: Any) -> Optional[tuple[int, str]]:
    """Of the first Embedding that has one."""
    import torch

    for name, part in module.named_modules():
        if isinstance(part, torch.nn.Embedding) and part.padding_idx is not None:
            return int(part.padding_idx), name
    return None
