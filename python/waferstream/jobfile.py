"""A job given as a dictionary, as the file that waferctl reads."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

from waferstream.errors import UsageError

JobLike = Union[Mapping[str, Any], str, "os.PathLike[str]"]

_QUOTED_SIZE = re.compile(r': "([0-9]+(?:[KMG]i?B?|B))"')

# Paths in a file are relative to it, a dictionary's to the current folder.
_PATHS = (("data", "train"), ("data", "validation"), ("model", "from"))


def write_job_file(job: Mapping[str, Any], path: Path) -> None:
    """JSON is YAML, too, but that a size, "1GiB", is no text there. UsageError: something in it has no
    place in a file."""
    try:
        text = json.dumps(_with_absolute_paths(job), indent=1, default=_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"job: {error}") from None
    path.write_text(_QUOTED_SIZE.sub(r": \1", text) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """What JSON does not know: paths, and NumPy's numbers."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is nothing that a job file can say")


def _with_absolute_paths(job: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(job)
    for section, key in _PATHS:
        within = whole.get(section)
        if isinstance(within, Mapping) and within.get(key):
            whole[section] = {**within, key: _absolute(within[key])}
    return whole


def _absolute(value: Any) -> Any:
    if isinstance(value, (str, os.PathLike)):
        return os.path.abspath(value)
    return [_absolute(one) for one in value] if isinstance(value, (list, tuple)) else value
