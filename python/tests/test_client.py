"""Jobs of a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import waferstream
from waferstream import Client


def test_a_job_is_watched_to_its_end(client: Client, job: dict[str, Any]) -> None:
    submitted = client.submit(job)
    assert (submitted.name, submitted.steps) == ("small", 6)
    seen = list(client.watch(submitted))
    assert [status.step for status in seen] == sorted(status.step for status in seen)
    assert all(a.message != b.message for a, b in zip(seen, seen[1:]))
    last = seen[-1]
    assert (last.state, last.step, last.is_final) == ("DONE", 6, True)
    assert last.losses.dtype == np.float64 and last.losses.shape == (6,)
    assert last.losses[-1] == last.loss
    assert len(last.weights_hash) == 32 and Path(last.checkpoint).is_dir()
    assert last.spec.training.global_batch == 4


def test_the_same_hash_as_waferctl_gets(client: Client, job: dict[str, Any], waferctl: str) -> None:
    from waferstream.jobfile import write_job_file
    from waferstream.waferctl import run_waferctl

    here = client.wait(client.submit(job))
    file = Path("again.yaml")
    write_job_file({**job, "checkpoint": {}}, file)
    run = run_waferctl(waferctl, ["run", "-q", "-f", str(file), "-o", "json"], timeout_s=60)
    assert json.loads(run)["weights_hash"] == here.weights_hash


def test_losses_come_as_an_array(client: Client, job: dict[str, Any]) -> None:
    done = client.wait(client.submit(job))
    losses = client.losses(done.id)
    assert np.array_equal(losses, done.losses)
    assert np.all(np.abs(losses - np.log(65)) < 0.5)


def test_a_file_is_submitted_as_it_is(client: Client, job: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "train.bin").rename(folder / "mine.bin")
    file = folder / "job.yaml"
    job = {**job, "data": {"train": "mine.bin"}, "checkpoint": {"dir": str(tmp_path / "ck")}}
    file.write_text("# a comment\n" + json.dumps(job))
    assert client.wait(client.submit(file)).state == "DONE"


def test_a_request_id_names_one_job(client: Client, job: dict[str, Any]) -> None:
    first = client.submit(job, request_id="once-and-for-all")
    again = client.submit(job, request_id="once-and-for-all")
    assert first.id == again.id
    other = {**job, "training": {**job["training"], "seed": 5}}
    with pytest.raises(waferstream.Error, match="once-and-for-all"):
        client.submit(other, request_id="once-and-for-all")
    client.wait(first)


def test_lists_and_beginnings_of_ids(client: Client, job: dict[str, Any]) -> None:
    done = client.wait(client.submit(job))
    newest = client.list()[0]
    assert newest.id == done.id and newest.losses.shape == (0,)
    number = done.id.split("-")[1]
    assert client.get(f"job-{number}").id == done.id
    assert "submitted" in [text for _, text in client.events(done)]


def test_a_job_is_cancelled(client: Client, job: dict[str, Any]) -> None:
    long = {**job, "training": {**job["training"], "steps": 1_000_000}}
    submitted = client.submit(long)
    for status in client.watch(submitted):
        if status.step > 0:
            break
    assert client.cancel(submitted).state == "CANCELLED"
    with pytest.raises(waferstream.CancelledError):
        client.wait(submitted)
    assert client.cancel(submitted).state == "CANCELLED"


def test_a_running_job_has_its_losses(client: Client, job: dict[str, Any]) -> None:
    submitted = client.submit({**job, "training": {**job["training"], "steps": 1_000_000}})
    for status in client.watch(submitted):
        if status.step >= 3:
            break
    assert len(client.losses(submitted)) >= 3
    client.cancel(submitted)


def test_a_wrong_key_is_named_with_its_line(client: Client, job: dict[str, Any]) -> None:
    del job["training"]["steps"]
    job["training"]["stepz"] = 6
    with pytest.raises(waferstream.UsageError) as refused:
        client.submit(job)
    text = str(refused.value)
    assert text.startswith("job:") and "training.stepz: unknown key; did you mean steps?" in text


def test_what_no_job_file_can_say_is_refused(client: Client, job: dict[str, Any]) -> None:
    with pytest.raises(waferstream.UsageError, match="job: "):
        client.submit({**job, "name": object()})
    with pytest.raises(waferstream.UsageError, match="job: "):
        client.submit({**job, "training": {**job["training"], "clip": float("nan")}})


def test_data_that_are_not_there_are_named(client: Client, job: dict[str, Any]) -> None:
    with pytest.raises(waferstream.UsageError, match=r"nothing\.bin"):
        client.submit({**job, "data": {"train": "nothing.bin"}})


def test_an_unknown_job_is_not_found(client: Client) -> None:
    with pytest.raises(waferstream.NotFoundError, match="job-999999"):
        client.get("job-999999")
    with pytest.raises(waferstream.NotFoundError, match="job-999999"):
        list(client.watch("job-999999"))


def test_nobody_at_the_address_is_unreachable() -> None:
    with Client("127.0.0.1:1", timeout=2, patience=0.1) as nobody:
        with pytest.raises(waferstream.UnreachableError, match="127.0.0.1:1"):
            nobody.list()
        with pytest.raises(waferstream.UnreachableError, match="127.0.0.1:1"):
            list(nobody.watch("job-1"))
