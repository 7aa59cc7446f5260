"""Token ids in every form that is taken."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

import waferstream
from waferstream.dataset import token_file

ROWS = [[1, 2, 3], [4, 5], [6]]


class MapStyle:
    """As torch's Dataset: it does not say where iteration ends."""

    def __len__(self) -> int:
        return len(ROWS)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": ROWS[index % len(ROWS)], "labels": ROWS[index % len(ROWS)]}


def written(data: Any, vocab: int = 10, end_of_text: Optional[int] = None) -> list[int]:
    """The tokens, those that are marked below zero."""
    path = token_file("dataset", data, Path("out.bin"), vocab=vocab, end_of_text=end_of_text)
    head = path.read_bytes()[:64]
    magic, version, width, tokens, flags, end, header_vocab = struct.unpack_from("<8sIIQIII", head)
    assert (magic, version, header_vocab) == (b"WSTOKENS", 1, vocab)
    assert end == (0xFFFFFFFF if end_of_text is None else end_of_text)
    found = np.fromfile(path, f"<u{width}", offset=64)
    assert len(found) == tokens
    if flags == 0:
        return found.tolist()
    bit = 1 << (8 * width - 1)
    return [-int(token & (bit - 1)) if token & bit else int(token) for token in found]


@pytest.mark.parametrize(
    "data",
    [
        [1, 2, 3, 4, 5, 6],
        np.arange(1, 7),
        np.arange(1, 7, dtype=np.uint8).reshape(2, 3),
        ROWS,
        (row for row in ROWS),
        [np.array(row) for row in ROWS],
        [{"input_ids": row} for row in ROWS],
        MapStyle(),
    ],
)
def test_forms(data: Any) -> None:
    assert written(data) == [1, 2, 3, 4, 5, 6]


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    assert written(torch.arange(1, 7)) == [1, 2, 3, 4, 5, 6]
    assert written([{"input_ids": torch.tensor(row)} for row in ROWS]) == [1, 2, 3, 4, 5, 6]
    pairs = torch.utils.data.TensorDataset(torch.arange(1, 7).view(2, 3))
    with pytest.raises(waferstream.UsageError, match=r"dataset\[0\]: tuple is no row"):
        written(pairs)


def test_documents_end_with_a_token() -> None:
    assert written(ROWS, end_of_text=9) == [1, 2, 3, 9, 4, 5, 9, 6, 9]
    with pytest.raises(waferstream.UsageError, match="end_of_text: 10 is not below"):
        written(ROWS, end_of_text=10)


def test_what_a_mask_leaves_out_is_left_out() -> None:
    row = {"input_ids": [1, 2, 0, 0], "attention_mask": [1, 1, 0, 0], "labels": [1, 2, -100, -100]}
    assert written([row]) == [1, 2]


def test_large_vocabularies_take_four_bytes() -> None:
    assert written([1, 65536], vocab=65537) == [1, 65536]
    assert Path("out.bin").stat().st_size == 64 + 8


def test_what_labels_leave_out_is_marked() -> None:
    rows = [
        {"input_ids": [1, 2, 3], "labels": [-100, -100, 3]},
        {"input_ids": [4, 5, 0], "labels": [-100, 5, -100], "attention_mask": [1, 1, 0]},
    ]
    assert written(rows, end_of_text=9) == [-1, -2, 3, 9, -4, 5, 9]
    # The highest bit of two bytes is the mark, or part of an id.
    assert written([{"input_ids": [40000, 7], "labels": [-100, 7]}], vocab=50000) == [-40000, 7]
    assert written([[40000, 7]], vocab=50000) == [40000, 7]
    assert Path("out.bin").stat().st_size == 64 + 4
    with pytest.raises(waferstream.UsageError, match=r"dataset\[1\]: has labels, unlike the rows"):
        written([[1], {"input_ids": [1], "labels": [-100]}], vocab=50000)


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x01\x00")
    assert token_file("dataset", "a.bin", Path("out.bin"), vocab=2) == tmp_path / "a.bin"
    with pytest.raises(waferstream.NotFoundError, match=r"dataset: b\.bin is not there"):
        token_file("dataset", "b.bin", Path("out.bin"), vocab=2)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ([[1], [2, 10]], r"dataset\[1\]: token 10 at 1 is not within the vocabulary of 10"),
        (np.array([3, -1]), r"dataset: token -1 at 1 is not within"),
        (np.array([0.5]), "float64, and token ids are whole"),
        ([{"text": "x"}], r"dataset\[0\]: has no input_ids \(it has text\)"),
        ([[1], "x"], r"dataset\[1\]: str is no row of token ids"),
        ([{"input_ids": [1, 2], "labels": [2, -100]}], r"dataset\[0\]: its labels are neither"),
        ([{"input_ids": [1, 2], "labels": [1]}], r"dataset\[0\]: labels: is not as long"),
        ([{"input_ids": [1], "attention_mask": [1, 1]}], r"dataset\[0\]: attention_mask: is not"),
        ([], "dataset: has no tokens"),
        (7, "dataset: int is no array"),
    ],
)
def test_what_is_wrong_is_named(data: Any, line: str) -> None:
    with pytest.raises(waferstream.UsageError, match=line):
        written(data)


def test_a_token_that_the_module_would_not_train_is_refused() -> None:
    with pytest.raises(waferstream.MappingError, match="embed: does not train .* padding_idx, 5"):
        token_file("dataset", ROWS, Path("out.bin"), vocab=10, padding=(5, "embed"))
