"""Modules trained by a real cluster, compared with PyTorch step by step."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import plain_modules as plain  # noqa: E402
from oracle import assert_same_weights, train_by_torch  # noqa: E402

import waferstream  # noqa: E402
from waferstream import Checkpoint, Client, train  # noqa: E402
from waferstream.local_run import run_local  # noqa: E402

STEPS, BATCH, LR = 20, 4, 1e-3
KEY_BIASES = ("c_attn.bias", "first.bias", "k_proj.bias", "query_key_value.bias")


def train_both(module: Any, tokens: Any, **more: Any) -> waferstream.TrainResult:
    """The module by us; losses agree with PyTorch's, and what comes back with its weights."""
    peer = copy.deepcopy(module)
    theirs = train_by_torch(peer, tokens, steps=STEPS, batch=BATCH, context=plain.CONTEXT, lr=LR)
    ours = train(
        module,
        tokens,
        steps=STEPS,
        lr=LR,
        batch_size=BATCH,
        micro_batch=2,
        context=plain.CONTEXT,
        progress=False,
        **more,
    )
    assert np.max(np.abs(ours.losses - theirs) / theirs) < 1e-4
    # A key's bias moves every score of a query alike: its gradient is zero.
    assert_same_weights(module, peer, noise=KEY_BIASES, most=2 * STEPS * LR)
    return ours


@pytest.mark.parametrize("module", [plain.Gpt, plain.ApartGpt, plain.Llama])
def test_a_plain_module_trains_as_by_pytorch(module: Any, tokens: Any) -> None:
    result = train_both(module(), tokens, wafers=2)
    assert result.losses.shape == (STEPS,) and result.val_loss is None
    found = Checkpoint.open(result.checkpoint)
    assert (found.step, found.weights_hash) == (STEPS, result.weights_hash)


def test_biases_that_are_not_there_stay_away(tokens: Any) -> None:
    train_both(plain.Gpt(bias=False), tokens)


def test_what_is_not_to_be_trained_is_not(tokens: Any) -> None:
    module = plain.Gpt()
    positions = module.transformer["wpe"].requires_grad_(False).weight
    before = positions.clone()
    train_both(module, tokens)
    assert torch.equal(positions, before)


def test_loss_is_taken_of_targets_alone(tokens: Any) -> None:
    ids = torch.from_numpy(tokens[:129])
    labels = torch.where(torch.arange(129) % 3 == 0, ids, -100)
    module = plain.Gpt()
    rows, targets = ids[:-1].view(4, 32), labels[1:].view(4, 32)
    logits = module(rows, rows)[0].detach()
    wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    data = [{"input_ids": ids, "labels": labels}]
    result = train(module, data, steps=1, lr=LR, batch_size=4, progress=False)
    assert abs(result.losses[0] - float(wanted)) < 1e-4 * float(wanted)


def test_dropout_is_passed_on(tokens: Any) -> None:
    module = plain.Gpt(dropout=0.5)

    def losses(**more: Any) -> Any:
        fresh = copy.deepcopy(module)
        return train(
            fresh, tokens, steps=2, lr=LR, batch_size=2, progress=False, **more
        ).losses.tolist()

    dropped = losses(dropout=0.5)
    assert dropped == losses(dropout=0.5, wafers=2) and dropped != losses(dropout=0)


def test_the_hash_is_one_whatever_the_cluster(client: Client, tokens: Any) -> None:
    module = plain.Gpt()
    here = train_both(copy.deepcopy(module), tokens)
    there = train_both(module, tokens, cluster=client, job={"cluster": {"wafers": 2}})
    assert np.array_equal(here.losses, there.losses)
    assert here.weights_hash == there.weights_hash
    assert client.get(there.job).state == "DONE"


def test_what_comes_back_is_in_the_same_module(tokens: Any) -> None:
    module = plain.Gpt()
    weight = module.lm_head.weight
    at = weight.data_ptr()
    result = train(module, tokens, steps=1, lr=LR, batch_size=1, progress=False)
    assert module.lm_head.weight is weight and weight.data_ptr() == at
    assert module.transformer["wte"].weight is weight
    wanted = Checkpoint.open(result.checkpoint).tensors["transformer.wte.weight"]
    assert np.array_equal(weight.detach().numpy(), wanted)


def test_validation_files_and_other_keys(tokens: Any, tmp_path: Path, capfd: Any) -> None:
    tokens.astype("<u2").tofile(tmp_path / "mine.bin")
    result = train(
        plain.Gpt(),
        "mine.bin",
        validation=[list(tokens[:100]), list(tokens[100:300])],
        end_of_text=0,
        steps=4,
        batch_size=2,
        context=16,
        optimizer={"sgd": {"lr": 0.1}},
        schedule={"cosine": {"warmup": 2}},
        job={"training": {"validate_every": 2}, "checkpoint": {"every": 2}},
        folder="here",
        name="mine",
    )
    assert result.val_loss is not None and 3 < result.val_loss < 6
    assert result.folder == tmp_path / "here"
    steps = [one.step for one in waferstream.list_checkpoints("here/run")]
    assert steps == [2, 4]
    job = Checkpoint.open(result.checkpoint).job
    assert job is not None and job["name"] == "mine"
    assert job["training"]["optimizer"]["sgd"]["lr"] == 0.1
    assert "step 2/4" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"lr": None}, "lr, optimizer: give one of them"),
        ({"optimizer": {"adamw": {"lr": 1}}}, "lr, optimizer: give one of them"),
        ({"lr": -1.0}, "training.optimizer.adamw.lr"),
        ({"batch_size": 3, "micro_batch": 2}, "training.global_batch"),
        ({"context": 33}, "context: 33 is more than the module's 32"),
        ({"job": {"training": {"stepz": 1}}}, "stepz: unknown key; did you mean steps"),
        ({"folder": "."}, "folder: .*: there is something in it"),
        ({"dataset": [1, 2, 99]}, "dataset: token 99 at 2 is not within the vocabulary of 65"),
        ({"dataset": [1, 2, 3]}, "train.bin"),
    ],
)
def test_what_is_wrong_is_said_and_the_module_stays(
    more: Any, line: str, tokens: Any, tmp_path: Path
) -> None:
    (tmp_path / "something").touch()
    module = plain.Gpt()
    before = copy.deepcopy(module)
    arguments = {"dataset": tokens, "steps": 1, "lr": LR, "batch_size": 1, "folder": "f", **more}
    with pytest.raises(waferstream.UsageError, match=line) as refused:
        train(module, progress=False, **arguments)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "f").exists() and (tmp_path / "something").exists()
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before.parameters()))


def test_ctrl_c_ends_the_cluster_and_the_module_stays(tokens: Any, tmp_path: Path) -> None:
    # Whatever runs the tests in the background may have told them to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module = plain.Gpt()
    before = copy.deepcopy(module)
    checkpoints = tmp_path / "f" / "run" / "checkpoints"

    def interrupt_once_it_trains() -> None:
        deadline = time.monotonic() + 60
        while not list(checkpoints.glob("step-*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_it_trains).start()
    with pytest.raises(KeyboardInterrupt):
        job = {"checkpoint": {"every": 1}}
        train(module, tokens, steps=10**6, lr=LR, folder="f", job=job, progress=False)
    assert list(checkpoints.glob("step-*"))
    arguments = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path / "f") not in arguments.stdout
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before.parameters()))


def test_without_waferctl_nothing_is_written(tokens: Any, tmp_path: Path) -> None:
    with pytest.raises(waferstream.NotFoundError, match="no-such-program is no program"):
        train(plain.Gpt(), tokens, steps=1, lr=LR, waferctl="no-such-program")
    assert list(tmp_path.iterdir()) == []


def test_llama_needs_a_context(tokens: Any) -> None:
    with pytest.raises(waferstream.UsageError, match="^context: the module does not say"):
        train(plain.Llama(), tokens, steps=1, lr=LR)


def test_a_job_that_does_not_fit_is_a_failure(tokens: Any) -> None:
    with pytest.raises(waferstream.FailedError, match="cannot hold one micro-batch"):
        job = {"cluster": {"wafer": {"sram": "1KiB"}}}
        train(plain.Gpt(), tokens, steps=1, lr=LR, job=job, progress=False)


def test_the_result_of_a_long_job_is_read_whole(tmp_path: Path) -> None:
    script = tmp_path / "waferctl"
    losses = "head -c 1000000 /dev/zero | tr '\\0' ' '"
    script.write_text(f"#!/bin/sh\necho '{{\"losses\": ['\n{losses}\necho ']}}'\necho done >&2\n")
    script.chmod(0o755)
    answer = run_local(
        tmp_path / "job.yaml", tmp_path / "run", progress=False, waferctl=str(script)
    )
    assert answer == {"losses": []}
