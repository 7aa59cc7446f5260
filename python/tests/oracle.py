"""The training mathematics in PyTorch (data order, loss, clip, AdamW), for any module."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

# Two threads that wait for one another are slower than one where others compute, too.
torch.set_num_threads(1)


def train_by_torch(
    module: Any, tokens: Any, *, steps: int, batch: int, context: int, lr: float
) -> Any:
    """One loss a step. Sample k is tokens[k * T : k * T + T + 1]; step t takes the next `batch`."""
    module.train()
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=1e-8)
    samples = (len(tokens) - 1) // context
    losses = []
    for step in range(steps):
        rows = [(step * batch + i) % samples * context for i in range(batch)]
        ids = torch.from_numpy(np.stack([tokens[at : at + context + 1] for at in rows]))
        logits = logits_of(module, ids)
        loss = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return np.array(losses)


def logits_of(module: Any, ids: Any) -> Any:
    """Of all positions but the last."""
    if hasattr(module, "transformer") and isinstance(module.transformer, torch.nn.ModuleDict):
        return module(ids[:, :-1], ids[:, 1:])[0]
    out = module(ids[:, :-1])
    return getattr(out, "logits", out)


def assert_same_weights(module: Any, other: Any, *, noise: tuple[str, ...], most: float) -> None:
    """Within what 20 steps of fp32 differ by. `noise`: ends of names of those that have parts whose
    gradient is zero but for rounding, which AdamW blows up to steps of its rate: `most` in all."""
    for (name, a), (_, b) in zip(module.named_parameters(), other.named_parameters()):
        difference = (a - b).detach()
        if name.endswith(noise):
            assert float(difference.abs().max()) <= most, name
        else:
            assert float(difference.norm() / b.detach().norm()) < 1e-4, name
