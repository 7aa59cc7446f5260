"""Plain PyTorch modules as people write them: GPT-2 and Llama, each in several ways."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

VOCAB, CONTEXT, HIDDEN, LAYERS, HEADS = 65, 32, 32, 2, 4


def attend(q: Any, k: Any, v: Any, dropout: Any = None) -> Any:
    """[B, heads, T, d], causal."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    weights = torch.softmax(scores.masked_fill(later, float("-inf")), -1)
    y = (dropout(weights) if dropout else weights) @ v
    return y.transpose(1, 2).flatten(2)


def heads_of(x: Any, heads: int) -> Any:
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


class OwnLayerNorm(nn.Module):
    """With a bias or without, as PyTorch's long had it not."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))
        self.bias = nn.Parameter(torch.zeros(HIDDEN)) if bias else None

    def forward(self, x: Any) -> Any:
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class FusedAttention(nn.Module):
    def __init__(self, bias: bool, dropout: float) -> None:
        super().__init__()
        self.c_attn = nn.Linear(HIDDEN, 3 * HIDDEN, bias=bias)
        self.c_proj = nn.Linear(HIDDEN, HIDDEN, bias=bias)
        self.attn_dropout = nn.Dropout(dropout)
        self.resid_dropout = nn.Dropout(dropout)
        self.n_head = HEADS

    def forward(self, x: Any) -> Any:
        q, k, v = (heads_of(part, self.n_head) for part in self.c_attn(x).split(HIDDEN, 2))
        return self.resid_dropout(self.c_proj(attend(q, k, v, self.attn_dropout)))


class Mlp(nn.Module):
    def __init__(self, bias: bool, activation: Any) -> None:
        super().__init__()
        self.c_fc = nn.Linear(HIDDEN, 4 * HIDDEN, bias=bias)
        self.activation = activation
        self.c_proj = nn.Linear(4 * HIDDEN, HIDDEN, bias=bias)

    def forward(self, x: Any) -> Any:
        return self.c_proj(self.activation(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, bias: bool, dropout: float, activation: Any) -> None:
        super().__init__()
        self.ln_1 = OwnLayerNorm(bias)
        self.attn = FusedAttention(bias, dropout)
        self.ln_2 = OwnLayerNorm(bias)
        self.mlp = Mlp(bias, activation)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    """In the manner of nanoGPT: tied, logits of the last position alone unless there are targets."""

    def __init__(self, bias: bool = True, dropout: float = 0.0, activation: Any = None) -> None:
        super().__init__()
        activation = activation or nn.GELU()
        blocks = [Block(bias, dropout, activation) for _ in range(LAYERS)]
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCAB, HIDDEN),
                "wpe": nn.Embedding(CONTEXT, HIDDEN),
                "h": nn.ModuleList(blocks),
                "ln_f": OwnLayerNorm(bias),
            }
        )
        self.lm_head = nn.Linear(HIDDEN, VOCAB, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight
        randomise(self)

    def forward(self, ids: Any, targets: Any = None) -> Any:
        t = self.transformer
        x = t["wte"](ids) + t["wpe"](torch.arange(ids.shape[1]))
        for block in t["h"]:
            x = block(x)
        x = t["ln_f"](x)
        if targets is None:
            return self.lm_head(x[:, [-1], :]), None
        logits = self.lm_head(x)
        return logits, functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


class ApartBlock(nn.Module):
    """Key, query and value apart, in this order; PyTorch's LayerNorm; tanh GELU; names of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.feed = nn.Sequential(
            nn.Linear(HIDDEN, 3 * HIDDEN),
            nn.GELU(approximate="tanh"),
            nn.Linear(3 * HIDDEN, HIDDEN),
        )
        self.before_feed, self.before_attention = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.first, self.second, self.third, self.last = (
            nn.Linear(HIDDEN, HIDDEN) for _ in range(4)
        )

    def forward(self, x: Any) -> Any:
        a = self.before_attention(x)
        k, q, v = (heads_of(part(a), HEADS) for part in (self.first, self.second, self.third))
        x = x + self.last(attend(q, k, v))
        return x + self.feed(self.before_feed(x))


class ApartGpt(nn.Module):
    """Positions are a parameter; an output projection of its own; logits of all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(1, CONTEXT, HIDDEN))
        self.words = nn.Embedding(VOCAB, HIDDEN)
        self.blocks = nn.Sequential(*(ApartBlock() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(HIDDEN)
        self.out = nn.Linear(HIDDEN, VOCAB, bias=False)
        randomise(self)

    def forward(self, ids: Any) -> Any:
        x = self.words(ids) + self.positions[:, : ids.shape[1]]
        return self.out(self.norm(self.blocks(x)))


class RmsNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.eps = 1e-6
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class RotaryAttention(nn.Module):
    """Turned in pairs, as Meta's Llama, or in halves, as Hugging Face's."""

    def __init__(self, kv_heads: int, pairs: bool, qkv_bias: bool) -> None:
        super().__init__()
        self.d, self.kv_heads, self.pairs, self.n_heads = HIDDEN // HEADS, kv_heads, pairs, HEADS
        self.rope_theta = 5000.0
        self.wq = nn.Linear(HIDDEN, HIDDEN, bias=qkv_bias)
        self.wk = nn.Linear(HIDDEN, kv_heads * self.d, bias=qkv_bias)
        self.wv = nn.Linear(HIDDEN, kv_heads * self.d, bias=qkv_bias)
        self.wo = nn.Linear(HIDDEN, HIDDEN, bias=False)

    def turn(self, x: Any) -> Any:
        rates = self.rope_theta ** (-torch.arange(0, self.d, 2).to(x.dtype) / self.d)
        angles = torch.outer(torch.arange(x.shape[2]).to(x.dtype), rates)
        a, b = (x[..., ::2], x[..., 1::2]) if self.pairs else x.chunk(2, -1)
        turned = (a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin())
        return torch.stack(turned, -1).flatten(-2) if self.pairs else torch.cat(turned, -1)

    def forward(self, x: Any) -> Any:
        q = self.turn(heads_of(self.wq(x), HEADS))
        k = self.turn(heads_of(self.wk(x), self.kv_heads))
        v = heads_of(self.wv(x), self.kv_heads)
        k, v = (part.repeat_interleave(HEADS // self.kv_heads, 1) for part in (k, v))
        return self.wo(attend(q, k, v))


class LlamaBlock(nn.Module):
    def __init__(self, kv_heads: int, pairs: bool, qkv_bias: bool) -> None:
        super().__init__()
        self.attention = RotaryAttention(kv_heads, pairs, qkv_bias)
        self.w1, self.w3 = (nn.Linear(HIDDEN, 48, bias=False) for _ in range(2))
        self.w2 = nn.Linear(48, HIDDEN, bias=False)
        self.attention_norm, self.ffn_norm = RmsNorm(), RmsNorm()

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.attention_norm(x))
        z = self.ffn_norm(x)
        return x + self.w2(functional.silu(self.w1(z)) * self.w3(z))


class Llama(nn.Module):
    def __init__(self, kv_heads: int = 2, pairs: bool = True, qkv_bias: bool = False) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(VOCAB, HIDDEN)
        blocks = [LlamaBlock(kv_heads, pairs, qkv_bias) for _ in range(LAYERS)]
        self.layers = nn.Sequential(*blocks)
        self.norm = RmsNorm()
        self.output = nn.Linear(HIDDEN, VOCAB, bias=False)
        randomise(self)

    def forward(self, ids: Any) -> Any:
        return self.output(self.norm(self.layers(self.tok_embeddings(ids))))


def randomise(module: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
