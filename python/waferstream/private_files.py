"""Files that hold what only their owner may know: a secret, a token."""

from __future__ import annotations

import os
import stat

from waferstream.errors import DeniedError, NotFoundError, UsageError

_BYTES_MAX = 1 << 12


def read_private(path: str) -> str:
    """The file's text. DeniedError: it is another user's, or somebody else can read or change it."""
    try:
        with open(
            os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8"
        ) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"{path}: is not a plain file")
            _check_owner(path, found)
            return file.read(_BYTES_MAX)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: is not there") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not text") from None
    except PermissionError:
        raise DeniedError(f"{path}: cannot be read") from None


def _check_owner(path: str, found: os.stat_result) -> None:
    """As ssh asks of keys; of a file of root's its group may read it."""
    if found.st_uid not in (0, os.geteuid()):
        raise DeniedError(f"{path}: belongs to another user")
    others = 0o077 if found.st_uid == os.geteuid() and found.st_uid != 0 else 0o037
    if stat.S_IMODE(found.st_mode) & others:
        raise DeniedError(f"{path}: others can read or change it; chmod 600 {path}")
