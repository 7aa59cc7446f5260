"""train(): a PyTorch module, trained by a cluster that streams its weights."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from waferstream.checkpoint import Checkpoint, PathLike
from waferstream.client import Client
from waferstream.dataset import token_file
from waferstream.errors import MappingError, NotFoundError, UsageError, naming
from waferstream.job import Job
from waferstream.jobfile import write_job_file
from waferstream.local_run import run_local
from waferstream.modules import MappedModel, map_module
from waferstream.waferctl import find_waferctl

_PROGRESS_EVERY_S = 2.0


@dataclass(frozen=True)
class TrainResult:
    """What a training gave. The module has the weights of `checkpoint`."""

    losses: npt.NDArray[np.float64]  # one a step
    val_loss: Optional[float]  # of the last validation; None without one
    weights_hash: str
    checkpoint: Path
    job: str  # its id
    folder: Path  # with what was written for it: weights/, job.yaml, token files, run/


@dataclass(frozen=True)
class _Work:
    """A job about to be run, and where its files are."""

    model: MappedModel
    job: Mapping[str, Any]
    folder: Path

    @property
    def weights(self) -> Path:
        return self.folder / "weights"


def train(
    module: Any,
    dataset: Any,
    *,
    steps: int,
    lr: Optional[float] = None,
    batch_size: int = 8,
    micro_batch: Optional[int] = None,
    context: Optional[int] = None,
    validation: Any = None,
    end_of_text: Optional[int] = None,
    dropout: Optional[float] = None,
    optimizer: Optional[Mapping[str, Any]] = None,
    schedule: Optional[Mapping[str, Any]] = None,
    precision: str = "f32",
    seed: int = 0,
    wafers: int = 1,
    job: Optional[Mapping[str, Any]] = None,
    name: Optional[str] = None,
    folder: Optional[PathLike] = None,
    cluster: Union[Client, str, None] = None,
    progress: bool = True,
    waferctl: Optional[str] = None,
) -> TrainResult:
    """Trains `module` in place on `dataset`, and says how it went.

    `module` is a model of transformers, or a plain module that computes what GPT-2, Llama or Qwen 2
    do (modules.map_module). `dataset`, and `validation`, are token ids, or the path of a token file
    (dataset.token_file). `context` is the length of a sequence; without it the module's longest.

    A step takes `batch_size` sequences, computed `micro_batch` at a time (all). AdamW with the job
    file's defaults and a peak learning rate of `lr`, unless `optimizer` says something else in the
    job file's words: {"sgd": {"lr": 0.1}}; `schedule` likewise. `job` has any other keys of a job file
    (docs/FORMATS.md), which go before all that is said here: {"training": {"validate_every": 10}}.

    Without `cluster` a local one is started for the job, of `wafers` wafer nodes, and ended. With a
    Client, or a controller's address, the job is submitted there; `folder` must then be on a file
    system that its nodes see. `folder` (runs/NAME-TIME-PID) keeps what is written.

    MappingError: the module cannot be mapped, before anything starts; else the errors of the package.
    The module is changed by a training that succeeds, and by no other.
    """
    if not isinstance(cluster, Client):
        find_waferctl(waferctl)
    model = map_module(module, context=context, dropout=dropout)
    training: dict[str, Any] = {
        "steps": steps,
        "global_batch": batch_size,
        "micro_batch": micro_batch or batch_size,
        "precision": precision,
        "seed": seed,
        "optimizer": _optimizer(lr, optimizer),
    }
    if schedule is not None:
        training["schedule"] = dict(schedule)
    if model.frozen:
        training["freeze"] = [_as_pattern(parameter) for parameter in model.frozen]
    with _new_folder(folder, name or "train") as made:
        data = {"train": _written("dataset", dataset, made / "train.bin", model, end_of_text)}
        if validation is not None:
            file = made / "validation.bin"
            data["validation"] = _written("validation", validation, file, model, end_of_text)
        whole = {
            "name": name or "train",
            "model": _model_section(model, made / "weights"),
            "data": data,
            "training": training,
            "cluster": {"wafers": wafers},
        }
        work = _Work(model, _merged(whole, job or {}), made)
        return _carry_out(work, cluster, progress=progress, waferctl=waferctl)


def _written(
    name: str, data: Any, path: Path, model: MappedModel, end_of_text: Optional[int]
) -> Path:
    return token_file(
        name, data, path, vocab=model.vocab, end_of_text=end_of_text, padding=model.padding
    )


def _carry_out(
    work: _Work, cluster: Union[Client, str, None], *, progress: bool, waferctl: Optional[str]
) -> TrainResult:
    work.weights.mkdir()
    work.model.save(work.weights)
    file = work.folder / "job.yaml"
    try:
        with naming(file, "job"):
            if cluster is None:
                write_job_file(work.job, file)
                answer = run_local(file, work.folder / "run", progress=progress, waferctl=waferctl)
                result = _result_of_run(answer, work.folder)
            else:
                write_job_file(_with_checkpoint_dir(work), file)
                result = _result_of_job(_submit(cluster, file, progress, waferctl), work.folder)
    except UsageError as error:
        raise _as_mapping_error(error, work) from None
    work.model.load(Checkpoint.open(result.checkpoint))
    return result


def _submit(
    cluster: Union[Client, str], file: Path, progress: bool, waferctl: Optional[str]
) -> Job:
    client = cluster if isinstance(cluster, Client) else Client(cluster, waferctl=waferctl)
    job = client.submit(file)
    show = _Progress() if progress else None
    try:
        return client.wait(job, on_change=show)
    except KeyboardInterrupt:
        client.cancel(job)
        raise


class _Progress:
    """A line every few seconds, to sys.stderr."""

    def __init__(self) -> None:
        self._last_s = 0.0

    def __call__(self, job: Job) -> None:
        now_s = time.monotonic()
        if job.loss is None or (now_s - self._last_s < _PROGRESS_EVERY_S and not job.is_final):
            return
        self._last_s = now_s
        validation = f", val_loss {job.val_loss:.4f}" if job.val_loss is not None else ""
        line = f"{job.id}: step {job.step}/{job.steps}, loss {job.loss:.4f}{validation}"
        print(line, file=sys.stderr, flush=True)


def _result_of_run(answer: Mapping[str, Any], folder: Path) -> TrainResult:
    return TrainResult(
        losses=np.array(answer["losses"], np.float64),
        val_loss=answer["val_loss"],
        weights_hash=answer["weights_hash"],
        checkpoint=Path(answer["checkpoint"]),
        job=answer["job"],
        folder=folder,
    )


def _result_of_job(job: Job, folder: Path) -> TrainResult:
    return TrainResult(
        losses=job.losses,
        val_loss=job.val_loss,
        weights_hash=job.weights_hash,
        checkpoint=Path(job.checkpoint),
        job=job.id,
        folder=folder,
    )


def _as_mapping_error(error: UsageError, work: _Work) -> UsageError:
    """What waferctl says of the weights that we wrote is of the module they are from."""
    text = str(error)
    if os.fspath(work.weights) not in text:
        return error
    text = text.replace(os.fspath(work.weights), "the module")
    for parameter, place in work.model.module_of.items():
        if f"'{parameter}'" in text:
            return MappingError(f"{place}: {text}")
    return MappingError(text)


@contextmanager
def _new_folder(folder: Optional[PathLike], name: str) -> Iterator[Path]:
    """Empty. What is put into it goes again when what was asked for is refused. UsageError: there is
    something in it, or it cannot be made."""
    path = Path(folder) if folder is not None else _new_name(name)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise UsageError(f"folder: {path}: there is something in it")
    except OSError as error:
        raise UsageError(f"folder: {path}: {error.strerror}") from None
    try:
        yield path.resolve()
    except (UsageError, NotFoundError):
        shutil.rmtree(path, ignore_errors=True)
        raise


def _new_name(name: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = base = Path("runs") / f"{name}-{stamp}-{os.getpid()}"
    number = 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def _optimizer(lr: Optional[float], optimizer: Optional[Mapping[str, Any]]) -> Mapping[str, Any]:
    if (lr is None) == (optimizer is None):
        raise UsageError("lr, optimizer: give one of them")
    return optimizer if optimizer is not None else {"adamw": {"lr": lr}}


def _model_section(model: MappedModel, weights: Path) -> dict[str, Any]:
    section: dict[str, Any] = {"from": weights, "context": model.context}
    if model.dropout > 0:
        section["dropout"] = model.dropout
    return section


def _with_checkpoint_dir(work: _Work) -> Mapping[str, Any]:
    """Where a cluster that is there already writes."""
    return _merged({"checkpoint": {"dir": work.folder / "checkpoints"}}, work.job)


def _merged(ours: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Sections key by key; what `over` says goes before. An optimizer or a schedule is one thing."""
    merged = dict(ours)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = value
        if key in ("optimizer", "schedule"):
            continue
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = _merged(below, value)
    return merged


def _as_pattern(name: str) -> str:
    """That matches this name alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
