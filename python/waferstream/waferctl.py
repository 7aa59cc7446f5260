"""The program waferctl: what it alone knows (job files, local clusters) is asked of it.

A job file has one reader, plan/job_yaml; nothing of it is written a second time here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Optional

from waferstream import errors

_BY_EXIT_CODE = {
    2: errors.UsageError,
    3: errors.NotFoundError,
    4: errors.UnreachableError,
    5: errors.DeniedError,
    6: errors.CancelledError,
}


def find_waferctl(path: Optional[str] = None) -> str:
    """The argument, $WAFERCTL, or the one on the path."""
    given = path or os.environ.get("WAFERCTL")
    found = shutil.which(given or "waferctl")
    if found is not None:
        return found
    if given is not None:
        raise errors.NotFoundError(f"waferctl: {given} is no program")
    raise errors.NotFoundError(
        "waferctl: is not on the path; build it (`bazel build //...`) and set WAFERCTL to "
        "bazel-bin/client/waferctl"
    )


def error_of(code: int, stderr: str) -> errors.Error:
    """Of a command that ended with `code`: its last line, which says why."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"ended with {code} and said nothing"
    kind = _BY_EXIT_CODE.get(code, errors.FailedError)
    prefix = "waferctl: "
    return kind(last[len(prefix) :] if last.startswith(prefix) else last)


def run_waferctl(program: str, arguments: Sequence[str], *, timeout_s: float) -> str:
    """Its standard output. What it reads and checks may take a while: `timeout_s` bounds all of it."""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise errors.UnreachableError(
            f"waferctl {arguments[0]}: no answer within {timeout_s:g} s"
        ) from None
    if done.returncode != 0:
        raise error_of(done.returncode, done.stderr)
    return done.stdout
