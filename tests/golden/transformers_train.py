#!/usr/bin/env python3
"""The training mathematics of a job on a model of Hugging Face's transformers, for the families that the
reference script does not have. Takes that script's flags and prints what it prints: a JSON object a step
and one at the end, with the logits after the data's first tokens by the weights that it starts from;
--dump-gradients writes the first step's gradients, before clipping.

A model with adapters (config.json's waferstream_lora) is PEFT's, and they alone are trained. In a data file with
a header tokens may be marked as no targets; with --isolate-documents its documents do not see one another.

What it defines is DESIGN's "Numerics": sample k is tokens [k*T, k*T+T]; step t takes samples t*B to
t*B+B-1, modulo their number; mean cross-entropy over all tokens, and of mixtures of experts the mean over
micro-batches of what balances them; of a batch with marked tokens the mean over all others; clip by global norm; AdamW, decayed where
a tensor has two dimensions; linear warm-up, then cosine. Needs torch, transformers and numpy.
"""
import argparse
import json
import math
import struct

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file


PROMPT = 8  # tokens


def flags():
    p = argparse.ArgumentParser()
    for name, kind in [("init", str), ("data", str), ("precision", str), ("context", int), ("global-batch", int),
                       ("micro-batch", int), ("steps", int), ("lr", float), ("min-lr", float), ("warmup", int),
                       ("weight-decay", float), ("clip", float)]:
        p.add_argument(f"--{name}", type=kind, required=True)
    p.add_argument("--betas", type=float, nargs=2, required=True)
    p.add_argument("--dump-gradients")
    p.add_argument("--label-smoothing", type=float, default=0)
    p.add_argument("--z-loss", type=float, default=0)
    p.add_argument("--isolate-documents", action="store_true")
    return p.parse_args()


def learning_rate(a, t):
    if t < a.warmup:
        return a.lr * (t + 1) / a.warmup
    done = (t - a.warmup) / (a.steps - a.warmup)
    return a.min_lr + (a.lr - a.min_lr) * (1 + math.cos(math.pi * done)) / 2


def read_tokens(path, vocab):
    """Ids, which of them are targets, and the id that ends a document."""
    data = open(path, "rb").read()
    if data[:8] != b"WSTOKENS":
        ids = np.frombuffer(data, "<u4" if vocab > 1 << 16 else "<u2").astype(np.int64)
        return ids, np.ones(len(ids), bool), None
    _, width, _, marks, end = struct.unpack_from("<IIQII", data, 8)
    tokens = np.frombuffer(data, f"<u{width}", offset=64).astype(np.int64)
    mark = 1 << 8 * width - 1 if marks & 1 else 0
    return tokens & ~mark, tokens & mark == 0, end


def batches(a, vocab):
    """Of every step its micro-batches: ids and whether they are targets, [sequences, context + 1]."""
    ids, is_target, _ = read_tokens(a.data, vocab)
    samples = (len(ids) - 1) // a.context
    for t in range(a.steps):
        rows = [k % samples * a.context for k in range(t * a.global_batch, (t + 1) * a.global_batch)]
        both = [torch.from_numpy(np.stack([x[row:row + a.context + 1] for row in rows])) for x in (ids, is_target)]
        yield list(zip(*(x.split(a.micro_batch) for x in both)))


def apart(ids, end):
    """Positions within documents, and a mask by which they do not see one another."""
    ends = ids == end
    document = torch.cumsum(ends, 1) - ends.int()
    places = torch.arange(ids.shape[1]).expand_as(ids)
    same = document[:, :, None] == document[:, None, :]
    causal = places[:, :, None] >= places[:, None, :]
    first = torch.where(same, places[:, None, :], ids.shape[1]).amin(2)
    mask = torch.zeros(same.shape).masked_fill(~(same & causal), torch.finfo(torch.float32).min)
    return {"position_ids": places - first, "attention_mask": mask[:, None]}


def loss_of(a, logits, targets, counts):
    """Summed over a micro-batch's targets."""
    lse = logits.logsumexp(-1)
    plain = lse - logits.gather(-1, targets[..., None])[..., 0]
    smooth = (1 - a.label_smoothing) * plain + a.label_smoothing * (lse - logits.mean(-1))
    return ((smooth + a.z_loss * lse.square()) * counts).sum()


def with_adapters(a, model):
    """PEFT's model of the same adapters, with the weights that they start from."""
    lora = getattr(model.config, "waferstream_lora", None)
    if lora is None:
        return model
    from peft import LoraConfig, get_peft_model
    start = {k: torch.from_numpy(v) for k, v in load_file(f"{a.init}/model.safetensors").items() if ".lora_" in k}
    targets = sorted({name.split(".lora_")[0] for name in start})
    model = get_peft_model(model, LoraConfig(
        r=lora["rank"], lora_alpha=lora["alpha"], target_modules=targets, fan_in_fan_out=model.config.model_type == "gpt2"))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad:
                p.copy_(start[name.removeprefix("base_model.model.").replace(".default.", ".")])
    return model


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
    model = with_adapters(a, model)
    model.train()
    vocab = model.config.vocab_size
    first = first_logits(model, next(batches(a, vocab))[0][0][0, :PROMPT].tolist())
    end = read_tokens(a.data, vocab)[2] if a.isolate_documents else None
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    groups = [{"params": [p for p in named.values() if p.dim() >= 2], "weight_decay": a.weight_decay},
              {"params": [p for p in named.values() if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=a.lr, betas=tuple(a.betas), eps=1e-8)
    for t, step in enumerate(batches(a, vocab)):
        total = 0.0
        targets = sum(marks[:, 1:].sum().item() for _, marks in step)
        for batch, marks in step:
            inside = {} if end is None else apart(batch[:, :-1], end)
            with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bf16"):
                out = model(input_ids=batch[:, :-1], use_cache=False, **inside)
            loss = loss_of(a, out.logits.float(), batch[:, 1:], marks[:, 1:]) / targets
            loss = loss + balance(model, out) * len(batch) / a.global_batch
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
