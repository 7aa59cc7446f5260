"""What a module drops in training, and whether the runtime can do as it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from waferstream.errors import MappingError, UsageError

_NOT_IN_TRAINING = ("summary_first_dropout", "classifier_dropout")


@dataclass(frozen=True)
class Drop:
    """A place where something is dropped."""

    where: str
    share: float
    of_attention: bool  # of attention's weights; else of embeddings or of what is added


def choose_dropout(drops: Sequence[Drop], asked: Optional[float]) -> float:
    """What the job says. MappingError, naming the place: the module drops what the runtime does not."""
    if asked is not None:
        if not 0 <= asked < 1:
            raise UsageError(f"dropout: {asked} is not within [0, 1)")
        return asked
    meant = "say dropout=... to have that of embeddings and residuals instead"
    drops = [drop for drop in drops if drop.share > 0]
    for drop in drops:
        if drop.of_attention:
            raise MappingError(
                f"{drop.where}: dropout of attention ({drop.share:g}) is not supported; {meant}"
            )
    shares = sorted({drop.share for drop in drops})
    if len(shares) > 1:
        unlike = next(drop for drop in drops if drop.share != drops[0].share)
        raise MappingError(
            f"{unlike.where}: drops {unlike.share:g}, and {drops[0].where} {drops[0].share:g}; one "
            f"share for all is supported; {meant}"
        )
    return shares[0] if shares else 0.0


def drops_of_config(config: Any) -> list[Drop]:
    """Of a transformers configuration, whatever its keys are called."""
    drops = []
    for key, share in config.to_dict().items():
        if "drop" not in key or key in _NOT_IN_TRAINING or not isinstance(share, (int, float)):
            continue
        drops.append(Drop(f"config.{key}", float(share), key.startswith(("attn", "attention"))))
    return drops


@dataclass(frozen=True)
class Attention:
    """Of one layer, in a plain module's trace: calls first..last are q, k, v and the output."""

    holder: str  # the module that has these layers
    first: int
    last: int


def drops_of_modules(
    module: Any, attentions: Sequence[Attention], called: Mapping[str, int]
) -> list[Drop]:
    """Of a plain module: its Dropout modules, and numbers that are called so (for functions).
    `called`: how many layers were called before each Dropout that was."""
    import torch

    drops = []
    for name, part in module.named_modules():
        if isinstance(part, torch.nn.Dropout):
            drops.append(Drop(name, float(part.p), _is_of_attention(name, attentions, called)))
            continue
        for key, share in vars(part).items():
            if "drop" in key and isinstance(share, float) and share > 0:
                where = f"{name}.{key}" if name else key
                drops.append(Drop(where, share, any(_within(where, a.holder) for a in attentions)))
    return sorted(drops, key=lambda drop: drop.where not in called)


def _is_of_attention(name: str, attentions: Sequence[Attention], called: Mapping[str, int]) -> bool:
    """By when it is called; one that is not may be there for a function that drops."""
    if name not in called:
        return any(_within(name, one.holder) for one in attentions)
    return any(one.first < called[name] <= one.last for one in attentions)


def _within(name: str, of: str) -> bool:
    return name == of or name.startswith(of + ".")
