"""Token ids, from whatever holds them, as a token file (docs/FORMATS.md)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from waferstream.errors import MappingError, NotFoundError, UsageError
from waferstream.token_writer import TokenWriter

Ids = npt.NDArray[np.int64]

_NOT_A_TARGET = -100  # PyTorch's, in labels


@dataclass(frozen=True)
class _Row:
    where: str
    ids: Ids
    # Of each id, that it is input alone; None: of none.
    marked: Optional[npt.NDArray[np.bool_]] = None


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
      its "attention_mask" leaves out is left out, and where its "labels" are -100 no loss is taken.

    Rows follow one another, each with `end_of_text` behind it if that is given: the job cuts what
    comes out into samples of context + 1 tokens that share one. UsageError: names row and token.
    `padding`: a token that must not be among them, and the module that would not train it.
    """
    if isinstance(data, (str, os.PathLike)):
        if not os.path.exists(data):
            raise NotFoundError(f"{name}: {os.fspath(data)} is not there")
        return Path(os.path.abspath(data))
    if end_of_text is not None and not 0 <= end_of_text < vocab:
        raise UsageError(f"end_of_text: {end_of_text} is not below the vocabulary of {vocab}")
    rows = iter(_rows(name, data, vocab))
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{name}: has no tokens")
    with open(path, "wb") as file:
        writer = TokenWriter(file, vocab, end_of_text, can_mark=first.marked is not None)
        for row in chain([first], rows):
            if padding is not None and padding[0] in row.ids:
                raise MappingError(
                    f"{padding[1]}: does not train the embedding of its padding_idx, {padding[0]}, "
                    f"and {name} has that token; set padding_idx to None to train it"
                )
            _write(writer, row)
        writer.finish()
    if writer.tokens == 0:
        raise UsageError(f"{name}: has no tokens")
    return path


def _write(writer: TokenWriter, row: _Row) -> None:
    if row.marked is not None and row.marked.any() and not writer.can_mark:
        raise UsageError(f"{row.where}: has labels, unlike the rows before it")
    writer.add(row.ids, row.marked)


def _rows(name: str, data: Any, vocab: int) -> Iterator[_Row]:
    flat = _as_array(data)
    if flat is not None and flat.ndim == 1:
        yield _Row(name, _checked(name, flat, vocab))
        return
    for number, row in enumerate(_each(name, data)):
        where = f"{name}[{number}]"
        if isinstance(row, Mapping):
            ids, marked = _of_record(where, row)
            yield _Row(where, _checked(where, ids, vocab), marked)
        else:
            yield _Row(where, _checked(where, _ids_of(where, row), vocab))


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
    ids = _as_array(row)
    if ids is None or ids.ndim != 1:
        raise UsageError(
            f"{where}: {type(row).__name__} is no row of token ids (a list, an array, or a dictionary "
            "with input_ids)"
        )
    return ids


def _of_record(
    where: str, row: Mapping[str, Any]
) -> tuple[npt.NDArray[Any], Optional[npt.NDArray[np.bool_]]]:
    """Its ids, and which of them are no targets if it has labels."""
    if "input_ids" not in row:
        raise UsageError(f"{where}: has no input_ids (it has {', '.join(map(str, row))})")
    ids = _ids_of(where, row["input_ids"])
    mask = _beside(where, row, "attention_mask", ids)
    kept = np.ones(len(ids), bool) if mask is None else mask != 0
    labels = _beside(where, row, "labels", ids)
    if labels is None:
        return ids[kept], None
    marked = labels[kept] == _NOT_A_TARGET
    if not np.array_equal(labels[kept][~marked], ids[kept][~marked]):
        raise UsageError(f"{where}: its labels are neither its input_ids nor {_NOT_A_TARGET}")
    return ids[kept], marked


def _beside(where: str, row: Mapping[str, Any], key: str, ids: Any) -> Optional[npt.NDArray[Any]]:
    if row.get(key) is None:
        return None
    found = _as_array(row[key])
    if found is None or found.shape != ids.shape:
        raise UsageError(f"{where}: {key}: is not as long as input_ids")
    return found


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
