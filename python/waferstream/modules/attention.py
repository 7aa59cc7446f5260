"""The attention that families have, to compare with what a module computes. Double precision."""

from __future__ import annotations

from typing import Any


def attend(q: Any, k: Any, v: Any, heads: int) -> Any:
    """Causal, scaled by 1 / sqrt(columns of a head). q [B, T, heads * d], k and v [B, T, kv * d]."""
    import torch

    d = q.shape[-1] // heads
    q, k, v = (split(x, d) for x in (q, k, v))
    k, v = (x.repeat_interleave(heads // x.shape[1], 1) for x in (k, v))
    scores = q @ k.transpose(-1, -2) / d**0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    mixed = torch.softmax(scores.masked_fill(later, float("-inf")), -1) @ v
    return mixed.transpose(1, 2).flatten(2)


def turn(x: Any, d: int, theta: float, *, in_pairs: bool) -> Any:
    """Rotary positions on x [B, T, heads * d]. `in_pairs`: columns 2i and 2i + 1 are turned together,
    else i and i + d / 2."""
    import torch

    rates = theta ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    angles = torch.outer(torch.arange(x.shape[1], dtype=torch.float64), rates)
    x = split(x, d)
    a, b = (x[..., 0::2], x[..., 1::2]) if in_pairs else (x[..., : d // 2], x[..., d // 2 :])
    turned = (a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin())
    y = torch.stack(turned, -1).flatten(-2) if in_pairs else torch.cat(turned, -1)
    return y.transpose(1, 2).flatten(2)


def split(x: Any, d: int) -> Any:
    """[B, T, heads * d] as [B, heads, T, d]."""
    return x.view(*x.shape[:2], -1, d).transpose(1, 2)
