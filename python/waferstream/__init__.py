"""WaferStream from Python: submit and watch jobs, read checkpoints, train PyTorch modules."""

from waferstream.checkpoint import Checkpoint, list_checkpoints
from waferstream.client import Client
from waferstream.errors import (
    CancelledError,
    DeniedError,
    Error,
    FailedError,
    JobError,
    MappingError,
    NotFoundError,
    UnreachableError,
    UsageError,
)
from waferstream.job import Job
from waferstream.training import TrainResult, train

__all__ = [
    "CancelledError",
    "Checkpoint",
    "Client",
    "DeniedError",
    "Error",
    "FailedError",
    "Job",
    "JobError",
    "MappingError",
    "NotFoundError",
    "TrainResult",
    "UnreachableError",
    "UsageError",
    "list_checkpoints",
    "train",
]
