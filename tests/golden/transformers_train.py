#!/usr/bin/env python3
"""The training mathematics of a job on a model of Hugging Face's transformers, for the families that the
reference script does not have. Takes that script's flags and prints what it prints: a JSON object a step
and one at the end, with the logits after the data's first tokens by the weights that it starts from;
--dump-gradients writes the first step's gradients, before clipping.

What it defines is DESIGN's "Numerics": sample k is tokens [k*T, k*T+T]; step t takes samples t*B to
t*B+B-1, modulo their number; mean cross-entropy over all tokens, and of mixtures of experts the mean over
micro-batches of what balances them; clip by global norm; AdamW, decayed where
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


def in_files(model, name, values):
    """A parameter as files have it, by name: some are others in memory, and experts are together there."""
    kind = model.config.model_type
    if kind == "gpt_neox" and name.startswith("lm_head."):
        return {name.replace("lm_head.", "embed_out."): values}
    gate, up, down = ("w1", "w3", "w2") if kind == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    if kind == "mixtral":
        name = name.replace(".mlp.", ".block_sparse_moe.")
    parts = {"gate_up_proj": (gate, up), "down_proj": (down,)}.get(name.rsplit(".", 1)[-1])
    if ".experts." not in name or parts is None:
        return {name: values}
    folder = name.rsplit(".", 1)[0]
    return {f"{folder}.{e}.{part}.weight": matrix
            for e, expert in enumerate(values)
            for part, matrix in zip(parts, np.split(expert, len(parts)))}


def balance(model, out):
    """What a micro-batch's experts cost beside its tokens."""
    coefficient = getattr(model.config, "router_aux_loss_coef", 0)
    return coefficient * out.aux_loss if getattr(model.config, "output_router_logits", False) else 0


def first_logits(model, tokens):
    """Of the position after them: those from which the next token would be chosen."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
    return {"prompt": tokens, "logits": [float(f"{x:.7g}") for x in logits.tolist()]}


def main():
    a = flags()
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        a.init, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager")
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
                out = model(input_ids=batch[:, :-1], use_cache=False)
            loss = torch.nn.functional.cross_entropy(
                out.logits.float().flatten(0, 1), batch[:, 1:].flatten())
            loss = (loss + balance(model, out)) * len(batch) / a.global_batch
            loss.backward()
            total += loss.item()
        if t == 0 and a.dump_gradients:
            gradients = [in_files(model, name, p.grad.numpy()) for name, p in named.items()]
            np.savez(a.dump_gradients, **{name: g for some in gradients for name, g in some.items()})
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
