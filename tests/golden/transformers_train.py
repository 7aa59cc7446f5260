#!/usr/bin/env python3
"""The training mathematics of a job on a model of Hugging Face's transformers, for the families that the
reference script does not have. Takes that script's flags and prints what it prints: a JSON object a step
and one at the end, with the logits after the data's first tokens by the weights that it starts from;
--dump-gradients writes the first step's gradients, before clipping.

What it defines is DESIGN's "Numerics": sample k is tokens [k*T, k*T+T]; step t takes samples t*B to
t*B+B-1, modulo their number; mean cross-entropy over all tokens; clip by global norm; AdamW, decayed where
a tensor has two dimensions; linear warm-up, then cosine. Needs torch, transformers and numpy.
"""
import argparse
import json
import math

import numpy as np
import torch
import transformers


PROMPT = 8  # tokens


def flags():
    p = argparse.ArgumentParser()
    for name, kind in [("init", str), ("data", str), ("precision", str), ("context", int), ("global-batch", int),
                       ("micro-batch", int), ("steps", int), ("lr", float), ("min-lr", float), ("warmup", int),
                       ("weight-decay", float), ("clip", float)]:
        p.add_argument(f"--{name}", type=kind, required=True)
    p.add_argument("--betas", type=float, nargs=2, required=True)
    p.add_argument("--dump-gradients")
    return p.parse_args()


def learning_rate(a, t):
    if t < a.warmup:
        return a.lr * (t + 1) / a.warmup
    done = (t - a.warmup) / (a.steps - a.warmup)
    return a.min_lr + (a.lr - a.min_lr) * (1 + math.cos(math.pi * done)) / 2


def batches(a, vocab):
    """Of every step its micro-batches, [sequences, context + 1]."""
    tokens = np.fromfile(a.data, "<u4" if vocab > 1 << 16 else "<u2").astype(np.int64)
    samples = (len(tokens) - 1) // a.context
    for t in range(a.steps):
        rows = [k % samples * a.context for k in range(t * a.global_batch, (t + 1) * a.global_batch)]
        step = torch.from_numpy(np.stack([tokens[row:row + a.context + 1] for row in rows]))
        yield step.split(a.micro_batch)


def name_in_files(model, name):
    """Some are others in memory."""
    if model.config.model_type == "gpt_neox" and name.startswith("lm_head."):
        return name.replace("lm_head.", "embed_out.")
    return name


def first_logits(model, tokens):
    """Of the position after them: those from which the next token would be chosen."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
    return {"prompt": tokens, "logits": [float(f"{x:.7g}") for x in logits.tolist()]}


def main():
    a = flags()
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        a.init, dtype=torch.float32, attn_implementation="eager")
    model.train()
    first = first_logits(model, next(batches(a, model.config.vocab_size))[0][0, :PROMPT].tolist())
    named = dict(model.named_parameters())
    groups = [{"params": [p for p in named.values() if p.dim() >= 2], "weight_decay": a.weight_decay},
              {"params": [p for p in named.values() if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=a.lr, betas=tuple(a.betas), eps=1e-8)
    for t, step in enumerate(batches(a, model.config.vocab_size)):
        total = 0.0
        for batch in step:
            with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bf16"):
                logits = model(input_ids=batch[:, :-1], use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(
                logits.float().flatten(0, 1), batch[:, 1:].flatten(), reduction="sum")
            loss = loss / (a.global_batch * a.context)
            loss.backward()
            total += loss.item()
        if t == 0 and a.dump_gradients:
            np.savez(a.dump_gradients, **{name_in_files(model, name): p.grad.numpy() for name, p in named.items()})
        if a.clip > 0:
            torch.nn.utils.clip_grad_norm_(named.values(), a.clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(a, t)
        optimizer.step()
        optimizer.zero_grad()
        print(json.dumps({"step": t, "loss": total}), flush=True)
    print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__} | first))


if __name__ == "__main__":
    main()
