"""Token ids, from whatever holds them, as a token file (docs/FORMATS.md)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from waferstream.errors import MappingError, NotFoundError, UsageError

Ids = npt.NDArray[np.int64]

_NARROW_VOCAB = 1 << 16  # up to which a file has two bytes a token


def token_file(
    name: str,
    data: Any,
    path: Path,
    *,
    vocab: int,
    end_of_text: Optional[int] = None,
    padding: Optional[tuple[int, str]] = None,
) -> Path:
    """A file as it is, or `path`, written from:

    - an array or tensor of ids, one stream of them, or [rows, ids];
    - an iterable, or a map-style torch Dataset, of rows: ids, or dictionaries with "input_ids"; what
      its "attention_mask" leaves out is left out.

    Rows follow one another, each with `end_of_text` behind it if that is given: the job cuts what
    comes out into samples of context + 1 tokens that share one. UsageError: names row and token.
    `padding`: a token that must not be among them, and the module that would not train it.
    """
    if isinstance(data, (str, os.PathLike)):
        if not os.path.exists(data):
            raise NotFoundError(f"{name}: {os.fspath(data)} is not there")
        return Path(os.path.abspath(data))
    dtype = np.dtype("<u2" if vocab <= _NARROW_VOCAB else "<u4")
    tokens = 0
    with open(path, "wb") as file:
        for ids in _rows(name, data, vocab, end_of_text):
            if padding is not None and padding[0] in ids:
                raise MappingError(
                    f"{padding[1]}: does not train the embedding of its padding_idx, {padding[0]}, "
                    f"and {name} has that token; set padding_idx to None to train it"
                )
            file.write(ids.astype(dtype).tobytes())
            tokens += len(ids)
    if tokens == 0:
        raise UsageError(f"{name}: has no tokens")
    return path


def _rows(name: str, data: Any, vocab: int, end_of_text: Optional[int]) -> Iterator[Ids]:
    if end_of_text is not None and not 0 <= end_of_text < vocab:
        raise UsageError(f"end_of_text: {end_of_text} is not below the vocabulary of {vocab}")
    flat = _as_array(data)
    if flat is not None and flat.ndim == 1:
        yield _checked(name, flat, vocab)
        return
    for number, row in enumerate(_each(name, data)):
        where = f"{name}[{number}]"
        yield _checked(where, _ids_of(where, row), vocab)
        if end_of_text is not None:
            yield np.array([end_of_text], np.int64)


def _each(name: str, data: Any) -> Iterable[Any]:
    """Map-style data sets need not say where they end when they are iterated."""
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[i] for i in range(len(data)))
    if hasattr(data, "__iter__"):
        iterable: Iterable[Any] = data
        return iterable
    raise UsageError(
        f"{name}: {type(data).__name__} is no array, data set or iterable of token ids"
    )


def _ids_of(where: str, row: Any) -> npt.NDArray[Any]:
    if isinstance(row, Mapping):
        return _ids_of_record(where, row)
    ids = _as_array(row)
    if ids is None or ids.ndim != 1:
        raise UsageError(
            f"{where}: {type(row).__name__} is no row of token ids (a list, an array, or a dictionary "
            "with input_ids)"
        )
    return ids


def _ids_of_record(where: str, row: Mapping[str, Any]) -> npt.NDArray[Any]:
    if "input_ids" not in row:
        raise UsageError(f"{where}: has no input_ids (it has {', '.join(map(str, row))})")
    ids = _ids_of(where, row["input_ids"])
    kept = np.ones(len(ids), bool)
    if row.get("attention_mask") is not None:
        mask = _as_array(row["attention_mask"])
        if mask is None or mask.shape != ids.shape:
            raise UsageError(f"{where}: its attention_mask is not as long as its input_ids")
        kept = mask != 0
    if row.get("labels") is not None:
        _check_labels(where, ids[kept], _as_array(row["labels"]), kept)
    left: npt.NDArray[Any] = ids[kept]
    return left


def _check_labels(where: str, ids: Any, labels: Any, kept: Any) -> None:
    if labels is None or labels.shape != kept.shape:
        raise UsageError(f"{where}: its labels are not as long as its input_ids")
    if not np.array_equal(labels[kept], ids):
        raise UsageError(
            f"{where}: its labels are not its input_ids; which tokens are targets is said by a token "
            "file (`waferctl data prepare --chat`)"
        )


def _as_array(data: Any) -> Optional[npt.NDArray[Any]]:
    """Of numbers; None: it is something else."""
    if hasattr(data, "detach"):
        data = data.detach().cpu().numpy()
    if isinstance(data, (list, tuple)):
        if not all(isinstance(one, (int, np.integer)) for one in data):
            return None
        data = np.array(data, np.int64)
    return data if isinstance(data, np.ndarray) and data.ndim in (1, 2) else None


def _checked(where: str, ids: npt.NDArray[Any], vocab: int) -> Ids:
    if ids.dtype.kind not in "iu":
        raise UsageError(f"{where}: its numbers are {ids.dtype}, and token ids are whole")
    outside = np.flatnonzero((ids < 0) | (ids >= vocab))
    if len(outside) > 0:
        at = int(outside[0])
        raise UsageError(
            f"{where}: token {ids[at]} at {at} is not within the vocabulary of {vocab}"
        )
    return ids.astype(np.int64)
