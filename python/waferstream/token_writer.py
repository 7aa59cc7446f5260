"""A token file with a header of our own: data/token_format.h says what is in it."""

from __future__ import annotations

import struct
from typing import BinaryIO, Optional

import numpy as np
import numpy.typing as npt

_MAGIC = b"WSTOKENS"
_VERSION = 1
_MASKED = 1
_NO_TOKEN = 0xFFFFFFFF
# magic, version, bytes of a token, tokens, flags, end of text, vocabulary, reserved, the tokenizer's
# hash (of nobody's), documents
_HEADER = struct.Struct("<8sIIQIIII16xQ")
assert _HEADER.size == 64


class TokenWriter:
    """Writes rows of ids to a file, and the header at last. `can_mark`: ids have one bit less then."""

    def __init__(
        self, file: BinaryIO, vocab: int, end_of_text: Optional[int], *, can_mark: bool
    ) -> None:
        self.can_mark = can_mark or vocab <= 1 << 15
        self.tokens = 0
        self._file = file
        self._vocab = vocab
        self._end_of_text = end_of_text
        self._bytes = 2 if vocab <= 1 << (15 if can_mark else 16) else 4
        self._documents = 0
        self._flags = 0
        file.write(bytes(_HEADER.size))

    def add(
        self, ids: npt.NDArray[np.int64], marked: Optional[npt.NDArray[np.bool_]] = None
    ) -> None:
        """A document. `marked`: of which tokens no loss is taken."""
        if marked is not None and marked.any():
            assert self.can_mark
            ids = ids | (marked.astype(np.int64) << (8 * self._bytes - 1))
            self._flags |= _MASKED
        if self._end_of_text is not None:
            ids = np.append(ids, self._end_of_text)
        self._file.write(ids.astype(f"<u{self._bytes}").tobytes())
        self.tokens += len(ids)
        self._documents += 1

    def finish(self) -> None:
        end = _NO_TOKEN if self._end_of_text is None else self._end_of_text
        self._file.seek(0)
        self._file.write(
            _HEADER.pack(
                _MAGIC,
                _VERSION,
                self._bytes,
                self.tokens,
                self._flags,
                end,
                self._vocab,
                0,
                self._documents,
            )
        )
