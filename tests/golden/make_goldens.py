#!/usr/bin/env python3
"""Makes the golden files of the parity tests from the PyTorch reference script, or, of families that it does
not have, from Hugging Face's transformers (transformers_train.py).

For every case folder beside this script (each holds a job.yaml and, made here, tokens.bin) it writes
the initial weights with `waferctl checkpoint init`, trains from them with the reference script in f32
and in bf16, and stores what came out:

  golden.json     the losses of every step, by precision, and the version of PyTorch; of transformers' families
                  also the logits after a prompt, by the initial weights
  gradients/      step 0's unclipped f32 gradients, as a checkpoint folder holds weights (small cases)
  gradients.json  or, of each of them, the norm, the largest values and values anywhere (large cases)

Usage: make_goldens.py REFERENCE_TRAIN_PY [CASE ...]
Run it from the repository's root after `bazel build //client:waferctl`. Needs torch, transformers,
numpy and PyYAML.
"""
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy as np
import yaml

HERE = pathlib.Path(__file__).parent
GRADIENT_ELEMENTS_MAX = 400_000  # keep what is checked in small
WORDS_MAX = 256  # ids that a large vocabulary's text uses: enough to learn in 20 steps
SAMPLES_LARGEST, SAMPLES_ANYWHERE = 16, 48  # values of each gradient of a large case
END = 3  # of a document


def make_tokens(path, vocab, count, seed, documents):
    """A first-order Markov chain: text enough to be learned; all ids occur if there is room. With `documents` the
    file has a header, END ends documents of about 15 tokens, and the first tokens of each are no targets."""
    rng = np.random.default_rng(seed)
    words = min(vocab, WORDS_MAX)
    successors = rng.integers(0, words, (words, 4))
    tokens = np.empty(count, "<u2")
    at = 0
    for i in range(count):
        at = int(successors[at, rng.integers(4)]) if rng.random() < 0.9 else int(rng.integers(words))
        tokens[i] = at
    if words < vocab:
        tokens = np.sort(rng.choice(vocab, words, replace=False)).astype("<u2")[tokens]
    if count > 2 * vocab:
        tokens[:vocab] = np.arange(vocab)
    if not documents:
        tokens.tofile(path)
        return
    tokens[rng.random(count) < 1 / 15] = END
    since, marked = 0, np.zeros(count, bool)
    for i in range(count):
        since = 0 if i > 0 and tokens[i - 1] == END else since + 1
        marked[i] = since < 6
    header = struct.pack("<8sIIQIIII24x", b"WSTOKENS", 1, 2, count, 1, END, vocab, 0)
    path.write_bytes(header + (tokens | marked.astype("<u2") << 15).astype("<u2").tobytes())


def reference_flags(job):
    training = job["training"]
    adamw = training["optimizer"]["adamw"]
    cosine = training["schedule"]["cosine"]
    pairs = {
        "--context": job["model"]["context"],
        "--global-batch": training["global_batch"],
        "--micro-batch": training["micro_batch"],
        "--steps": training["steps"],
        "--lr": adamw["lr"],
        "--min-lr": cosine["min_lr"],
        "--warmup": cosine["warmup"],
        "--weight-decay": adamw["weight_decay"],
        "--clip": training["clip"],
    }
    flags = [str(x) for pair in pairs.items() for x in pair]
    for key in ("label_smoothing", "z_loss"):
        if key in training:
            flags += [f"--{key.replace('_', '-')}", str(training[key])]
    if job["data"].get("isolate_documents"):
        flags.append("--isolate-documents")
    return flags + ["--betas"] + [str(b) for b in adamw["betas"]]


def run_reference(script, job, folder, data, precision, gradients=None):
    command = [sys.executable, script, "--init", folder, "--data", data, "--precision", precision]
    command += reference_flags(job) + (["--dump-gradients", gradients] if gradients else [])
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    return [row["loss"] for row in rows[:-1]], rows[-1]


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name in sorted(tensors):
        tensors[name] = np.ascontiguousarray(tensors[name], "<f4")
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape),
                        "data_offsets": [offset, offset + tensors[name].nbytes]}
        offset += tensors[name].nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            f.write(tensors[name].tobytes())


def sample_gradients(gradients):
    """Of each tensor its norm, its largest values, and values at positions chosen by counter."""
    golden = {}
    for index, name in enumerate(sorted(gradients)):
        flat = gradients[name].ravel()
        anywhere = np.random.Generator(np.random.Philox(index)).integers(flat.size, size=SAMPLES_ANYWHERE)
        largest = np.argsort(np.abs(flat), kind="stable")[-SAMPLES_LARGEST:]
        golden[name] = {"norm": float(np.linalg.norm(flat.astype(np.float64)))}
        for kind, at in (("largest", largest), ("anywhere", anywhere)):
            golden[name][kind] = {"at": np.sort(at).tolist(),
                                  "values": [float(f"{v:.7g}") for v in flat[np.sort(at)]]}
    return golden


def write_samples(path, golden):
    """One line a tensor."""
    lines = [f"{json.dumps(name)}: {json.dumps(golden[name])}" for name in golden]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def make(case, script):
    job = yaml.safe_load((case / "job.yaml").read_text())
    if job["model"]["family"] != "gpt2" or "lora" in job["model"]:
        script = str(HERE / "transformers_train.py")
    batch, context = job["training"]["global_batch"], job["model"]["context"]
    # Fewer samples than the run takes, so that the wrap-around of the data order is covered too.
    samples = batch * job["training"]["steps"] * 3 // 4
    make_tokens(case / "tokens.bin", job["model"]["vocab"], samples * context + 1, seed=len(case.name),
                documents=job["data"].get("isolate_documents", False))
    with tempfile.TemporaryDirectory() as work:
        start = f"{work}/start"
        subprocess.run(["bazel-bin/client/waferctl", "checkpoint", "init", "-f", case / "job.yaml",
                        "--out", start], check=True)
        golden = {}
        for precision in ("f32", "bf16"):
            dump = f"{work}/gradients.npz" if precision == "f32" else None
            golden[precision], summary = run_reference(
                script, job, start, case / "tokens.bin", precision, dump)
        golden |= {key: summary[key] for key in ("torch", "transformers", "prompt", "logits") if key in summary}
        (case / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
        if "lora" in job["model"]:
            return  # of B they begin as zeros; the losses tell
        gradients = dict(np.load(f"{work}/gradients.npz"))
        if sum(g.size for g in gradients.values()) <= GRADIENT_ELEMENTS_MAX:
            (case / "gradients").mkdir(exist_ok=True)
            shutil.copy(f"{start}/config.json", case / "gradients")
            write_safetensors(case / "gradients/model.safetensors", gradients)
        else:
            write_samples(case / "gradients.json", sample_gradients(gradients))


def main():
    script = sys.argv[1]
    names = sys.argv[2:] or sorted(p.parent.name for p in HERE.glob("*/job.yaml"))
    for name in names:
        print(name, flush=True)
        make(HERE / name, script)


if __name__ == "__main__":
    main()
