"""What is known of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

import numpy as np
import numpy.typing as npt

from waferstream._proto import controller_pb2, job_pb2
from waferstream.errors import CancelledError, JobError

FINAL_STATES = ("DONE", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class Job:
    """One job as it was when the controller was asked; the same names as `waferctl get -o json`."""

    id: str
    name: str
    state: str  # QUEUED, PREPARING, RUNNING, PAUSED, DONE, FAILED or CANCELLED
    reason: str  # why failed, cancelled, paused, or still queued
    step: int  # committed
    steps: int  # wanted
    first_step: int  # that it began with: 0, or those of the checkpoint it goes on from
    loss: Optional[float]  # of the last step; None before the first
    val_loss: Optional[float]  # of the last validation; None before the first
    losses: npt.NDArray[
        np.float64
    ]  # losses[i] is of step first_step + i + 1; empty in lists and while it runs
    weights_hash: str  # at the last checkpoint, which a DONE job has at its end
    optimizer_hash: str
    checkpoint: str  # path of the last one
    checkpoint_step: int
    parameters: int
    tokens_per_second: float  # median; 0 before the first step
    step_seconds: float  # median
    seconds_left: float  # estimated
    spec: job_pb2.JobSpec = field(repr=False)  # all that was asked for
    message: controller_pb2.JobStatus = field(repr=False, compare=False)  # all else

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    def check(self) -> Job:
        """Itself, if nothing went wrong. JobError: it failed or is paused; CancelledError."""
        if self.state in ("FAILED", "PAUSED"):
            raise JobError(self)
        if self.state == "CANCELLED":
            raise CancelledError(
                f"{self.id}: cancelled: {self.reason}" if self.reason else f"{self.id}: cancelled"
            )
        return self


def job_of(status: controller_pb2.JobStatus) -> Job:
    return Job(
        id=status.job_id,
        name=status.name,
        state=controller_pb2.JobState.Name(status.state),
        reason=status.reason,
        step=status.step,
        steps=status.steps,
        first_step=status.first_step,
        loss=status.loss if status.HasField("loss") else None,
        val_loss=status.val_loss if status.has_val_loss else None,
        losses=np.array(status.losses, dtype=np.float64),
        weights_hash=status.weights_hash,
        optimizer_hash=status.optimizer_hash,
        checkpoint=status.checkpoint,
        checkpoint_step=status.checkpoint_step,
        parameters=status.parameters,
        tokens_per_second=status.tokens_per_second,
        step_seconds=status.step_seconds,
        seconds_left=status.seconds_left,
        spec=status.job,
        message=status,
    )
