"""The client of a controller: jobs submitted, watched, cancelled, and what became of them."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import numpy.typing as npt

from waferstream._proto import controller_pb2, node_pb2
from waferstream.access import Flags, find_access
from waferstream.channel import ControllerChannel
from waferstream.errors import UnreachableError, naming
from waferstream.job import Job, job_of
from waferstream.jobfile import JobLike, write_job_file
from waferstream.waferctl import find_waferctl, run_waferctl

Jobs = list[Job]
Events = list[tuple[datetime, str]]
JobRef = Union[str, Job]  # a job, or its id or the beginning of it

# A watch is opened anew after so long: a controller or a link that hangs is noticed by then.
_STREAM_S = 60.0
# waferctl reads the job's data and checkpoint through before it submits.
_SUBMIT_S = 3600.0


class Client:
    """Talks to one controller. Thread-safe. Errors are those of waferstream.errors, each one line.

    The controller is the argument's (host:port), that of WAFERSTREAM_CONTROLLER, or that of the
    cluster that `waferctl up` left running; likewise the files by which it knows the caller, and the
    caller it. `timeout` bounds every call, in seconds; `patience` is how long `watch` waits for a
    controller that went away. `waferctl` is the program that reads job files (else $WAFERCTL, or the
    one on the path); only `submit` needs it.
    """

    def __init__(
        self,
        address: Optional[str] = None,
        *,
        secret_file: Optional[str] = None,
        tls_cert: Optional[str] = None,
        tls_key: Optional[str] = None,
        tls_ca: Optional[str] = None,
        tls_crl: Optional[str] = None,
        token_file: Optional[str] = None,
        timeout: float = 10.0,
        patience: float = 60.0,
        waferctl: Optional[str] = None,
    ) -> None:
        flags = Flags(address, secret_file, tls_cert, tls_key, tls_ca, tls_crl, token_file)
        self._channel = ControllerChannel(find_access(flags))
        self._timeout = timeout
        self._patience = patience
        self._waferctl = waferctl

    @property
    def address(self) -> str:
        return self._channel.access.address

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, job: JobLike, *, request_id: Optional[str] = None) -> Job:
        """Queues a job: a YAML file's path, or its content as a dictionary. Paths in a dictionary are
        relative to the current folder. The same request_id again answers with the same job."""
        if isinstance(job, Mapping):
            with tempfile.TemporaryDirectory(prefix="waferstream-") as folder:
                path = Path(folder) / "job.yaml"
                write_job_file(job, path)
                with naming(path, "job"):
                    return self._submit_file(path, request_id)
        return self._submit_file(job, request_id)

    def get(self, job: JobRef) -> Job:
        return job_of(self._call("Get", controller_pb2.JobRef(job_id=_id(job))))

    def list(self) -> Jobs:
        """All jobs, the newest first; without losses."""
        answer = self._call("List", node_pb2.Empty())
        return [job_of(status) for status in answer.jobs]

    def cancel(self, job: JobRef) -> Job:
        """A job that has ended stays as it is."""
        return job_of(self._call("Cancel", controller_pb2.JobRef(job_id=_id(job))))

    def resume(
        self,
        job: JobRef,
        *,
        lr: Optional[float] = None,
        skip_batch: bool = False,
        request_id: Optional[str] = None,
    ) -> Job:
        """Goes on with a paused job, from here on with another peak learning rate if one is given."""
        request = controller_pb2.ResumeRequest(
            request_id=request_id or secrets.token_hex(16),
            job_id=_id(job),
            lr=lr or 0.0,
            skip_batch=skip_batch,
        )
        return job_of(self._call("Resume", request))

    def events(self, job: JobRef) -> Events:
        """What happened to a job, and when (UTC)."""
        answer = self._call("Events", controller_pb2.JobRef(job_id=_id(job)))
        return [(datetime.fromtimestamp(e.unix_s, timezone.utc), e.text) for e in answer.events]

    def losses(self, job: JobRef) -> npt.NDArray[np.float64]:
        """One a committed step; [i] is of step first_step + i + 1. In every state."""
        return self.get(job).losses

    def watch(self, job: JobRef) -> Iterator[Job]:
        """The job now, at every change, and a last time, with its losses, in a final state.

        A controller that goes away is waited for; nothing is given twice. A paused job is not at its
        end: leave the loop to stop watching.
        """
        last: Optional[controller_pb2.JobStatus] = None
        deadline = time.monotonic() + self._patience
        while True:
            try:
                for status in self._open_watch(_id(job)):
                    deadline = time.monotonic() + self._patience
                    if status != last:
                        yield job_of(status)
                    last = status
                    if job_of(status).is_final:
                        return
            except UnreachableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def wait(self, job: JobRef, *, on_change: Optional[Callable[[Job], None]] = None) -> Job:
        """Watches a job to its end, or until it pauses. JobError: it failed or is paused."""
        for status in self.watch(job):
            if on_change is not None:
                on_change(status)
            if status.is_final or status.state == "PAUSED":
                return status.check()
        raise AssertionError("a watch ends in a final state")

    def _call(self, method: str, request: Any) -> Any:
        return self._channel.call(method, request, self._timeout)

    def _open_watch(self, job_id: str) -> Iterator[controller_pb2.JobStatus]:
        request = controller_pb2.JobRef(job_id=job_id)
        return self._channel.stream("Watch", request, _STREAM_S)

    def _submit_file(self, path: Union[str, os.PathLike[str]], request_id: Optional[str]) -> Job:
        arguments = ["submit", "--file", os.fspath(path), "--output", "json"]
        arguments += ["--request-id", request_id or secrets.token_hex(16)]
        arguments += self._channel.access.flags.arguments()
        program = find_waferctl(self._waferctl)
        answer = run_waferctl(program, arguments, timeout_s=_SUBMIT_S)
        return self.get(parse_answer(answer)["job"])


def parse_answer(text: str) -> dict[str, Any]:
    """Of a waferctl command with `-o json`."""
    answer = json.loads(text)
    assert isinstance(answer, dict)
    return answer


def _id(job: JobRef) -> str:
    return job.id if isinstance(job, Job) else job
