"""What goes wrong, as exceptions. Each has one line, the controller's or waferctl's own where it is theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from waferstream.job import Job


class Error(Exception):
    """Any of those below."""


class UsageError(Error, ValueError):
    """What was given is wrong: an argument, the job, or a file that it names."""


class MappingError(UsageError):
    """A module cannot be mapped; the line names it and says why."""


class NotFoundError(Error, LookupError):
    """There is no such job, checkpoint or cluster."""


class UnreachableError(Error, ConnectionError):
    """The controller does not answer in time, cannot do it now, or none is known."""


class DeniedError(Error, PermissionError):
    """The controller, or the file system, refuses."""


class CancelledError(Error):
    """Somebody cancelled the job."""


class FailedError(Error):
    """It was understood, and did not work: a job that failed or does not fit its wafers."""


class JobError(FailedError):
    """A job ended without its result, or is paused; `job` says all about it."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.id}: {job.state.lower()}: {job.reason}")
        self.job = job


@contextmanager
def naming(path: Union[str, os.PathLike[str]], name: str) -> Iterator[None]:
    """Errors about a file that we wrote ourselves name what it was written from."""
    try:
        yield
    except Error as error:
        if os.fspath(path) not in str(error):
            raise
        raise type(error)(str(error).replace(os.fspath(path), name)) from None
