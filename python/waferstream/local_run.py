"""One job on a local cluster made for it, by `waferctl run`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Optional

from waferstream.client import parse_answer
from waferstream.errors import FailedError
from waferstream.waferctl import error_of, find_waferctl


def run_local(
    job_file: Path, run_dir: Path, *, progress: bool, waferctl: Optional[str] = None
) -> dict[str, Any]:
    """What `waferctl run -o json` prints of a job that is done. Progress goes to sys.stderr, a line at
    a time, wherever that leads (a notebook, too). Ctrl-C cancels the job, takes the cluster down and
    is raised again."""
    command = [find_waferctl(waferctl), "run", "--file", str(job_file), "--run-dir", str(run_dir)]
    command += ["--output", "json"] + ([] if progress else ["--quiet"])
    # A file, because the result of a long job is more than a pipe holds while nobody reads it.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as result:
        # In a session of its own Ctrl-C reaches it once, by us.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=result,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            said = _forward(process, progress)
            code = process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
        result.seek(0)
        answer = result.read()
    if code != 0:
        raise error_of(code, said)
    try:
        return parse_answer(answer)
    except json.JSONDecodeError:
        raise FailedError("waferctl run: its answer is not JSON") from None


def _forward(process: subprocess.Popen[str], progress: bool) -> str:
    """The last line of its standard error, once that ends."""
    last = ""
    assert process.stderr is not None
    for line in process.stderr:
        if progress and not line.startswith("waferctl: "):
            print(line, end="", file=sys.stderr, flush=True)
        last = line if line.strip() else last
    return last
