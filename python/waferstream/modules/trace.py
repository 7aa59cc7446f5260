"""What a plain module does with a few tokens: its layers, by what they compute, in order."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from waferstream.errors import MappingError

EMBEDDING, LINEAR, LAYER_NORM, RMS_NORM = "embedding", "linear layer", "LayerNorm", "RMSNorm"
NORMS = (LAYER_NORM, RMS_NORM)

_EPS_NAMES = ("eps", "variance_epsilon", "epsilon", "norm_eps")
_EPS_USUAL = (1e-5, 1e-6, 1e-8, 1e-12)
_SEQUENCES = 2
_TOKENS_MAX = 12


@dataclass(frozen=True)
class Call:
    """One layer at work. Tensors are of the trial's copy of the module, in double precision."""

    name: str  # of the module
    kind: str
    x: Any  # [sequences, tokens, ...]
    y: Any
    weight: Any
    transposed: bool = False  # of a linear layer: its weight is [in, out]
    eps: float = 0.0  # of a norm


@dataclass(frozen=True)
class Trace:
    calls: tuple[Call, ...]
    own: Mapping[str, Any]  # parameters of modules that have parts: nothing shows what they do
    ids: Any  # [sequences, tokens]
    dropouts: Mapping[str, int]  # of a Dropout that was called: how many layers were before it
    logits: Any  # of the last positions, as many as the module gives


def close(a: Any, b: Any) -> bool:
    """Equal but for rounding: modules may go through fp32 in between."""
    if a is None or b is None or a.shape != b.shape:
        return False
    scale = float(b.detach().abs().max()) + 1e-12
    return bool((a - b).detach().abs().max() <= 2e-6 * scale)


def trace(module: Any, context: int) -> Trace:
    """Runs a copy whose weights are random, so that nothing hides behind zeros and ones. MappingError:
    a part with parameters is of no known kind, or does not take part; or it cannot be run."""
    import torch

    trial = copy.deepcopy(module).cpu().double().eval()
    _randomise(trial)
    recorder = _Recorder(trial)
    vocab = _vocabulary(trial)
    tokens = min(_TOKENS_MAX, context) if context else _TOKENS_MAX
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, vocab, (_SEQUENCES, tokens), generator=generator)
    with torch.no_grad():
        try:
            out = trial(ids)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's program throws
            line = str(error).strip().splitlines() or [type(error).__name__]
            where = recorder.inside or "the module"
            raise MappingError(f"{where}: cannot be run on token ids: {line[0]}") from None
    calls = recorder.calls(trial)
    own = {name: p for name, p in trial.named_parameters() if _is_own(trial, name)}
    return Trace(calls, own, ids, recorder.dropouts, _logits_of(out))


def _is_own(trial: Any, name: str) -> bool:
    """Whether a parameter belongs to a module that has parts."""
    holder = trial.get_submodule(name.rpartition(".")[0])
    return any(True for _ in holder.children())


def _logits_of(out: Any) -> Any:
    out = getattr(out, "logits", out)
    if isinstance(out, (tuple, list)):
        out = out[0]
    if not hasattr(out, "dim") or out.dim() != 3:
        raise MappingError("the module: gives no logits [sequences, tokens, vocabulary] for ids")
    return out


def _randomise(trial: Any) -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trial.parameters():
            fan = parameter.shape[-1] if parameter.dim() > 1 else 4
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise / fan**0.5 + (1.0 if parameter.dim() == 1 else 0.0))


def _vocabulary(trial: Any) -> int:
    """Of the Embedding that comes first; a wrong guess, that of positions, is found by the reader."""
    import torch

    for part in trial.modules():
        if isinstance(part, torch.nn.Embedding):
            return int(part.num_embeddings)
    raise MappingError("the module: has no Embedding, so it takes no token ids")


class _Recorder:
    """Hooks: of layers, modules with parameters and no parts, what goes in and comes out."""

    def __init__(self, trial: Any) -> None:
        import torch

        self._seen: list[tuple[str, Any, Any, Any]] = []
        self._entered: list[str] = []
        self.dropouts: dict[str, int] = {}
        for name, part in trial.named_modules():
            part.register_forward_pre_hook(self._enter(name))
            part.register_forward_hook(self._leave)
            if isinstance(part, torch.nn.Dropout):
                part.register_forward_hook(self._note_dropout(name))
            if any(True for _ in part.parameters(recurse=False)) and not list(part.children()):
                part.register_forward_hook(self._hook(name))

    @property
    def inside(self) -> str:
        """The module that was at work when something was thrown."""
        return self._entered[-1] if self._entered else ""

    def _enter(self, name: str) -> Any:
        return lambda part, inputs: self._entered.append(name)

    def _note_dropout(self, name: str) -> Any:
        def note(part: Any, inputs: Any, output: Any) -> None:
            self.dropouts[name] = len(self._seen)

        return note

    def _leave(self, part: Any, inputs: Any, output: Any) -> None:
        self._entered.pop()

    def _hook(self, name: str) -> Any:
        def remember(part: Any, inputs: tuple[Any, ...], output: Any) -> None:
            self._seen.append((name, part, inputs[0] if inputs else None, output))

        return remember

    def calls(self, trial: Any) -> tuple[Call, ...]:
        called = {name for name, *_ in self._seen}
        for name, part in trial.named_modules():
            own = any(True for _ in part.parameters(recurse=False)) and not list(part.children())
            if own and name not in called and not _is_head_by_function(trial, part):
                raise MappingError(
                    f"{name}: {type(part).__qualname__} takes no part: nothing calls it"
                )
        again = called.copy()
        for name, *_ in self._seen:
            if name not in again:
                raise MappingError(f"{name}: is called more than once in a pass")
            again.discard(name)
        return tuple(classify(*seen) for seen in self._seen)


def _is_head_by_function(trial: Any, part: Any) -> bool:
    """A projection that shares the embedding's weight may be used as a function."""
    weight = getattr(part, "weight", None)
    return any(
        weight is p.weight for p in trial.modules() if p is not part and hasattr(p, "weight")
    )


def classify(name: str, part: Any, x: Any, y: Any) -> Call:
    """By what it computes, whatever its class is called."""
    import torch
    from torch.nn import functional

    weight: Any = getattr(part, "weight", None)
    bias: Any = getattr(part, "bias", None)
    own = {key for key, _ in part.named_parameters(recurse=False)}
    if own <= {"weight", "bias"} and torch.is_tensor(weight) and torch.is_tensor(x):
        if not x.is_floating_point():
            if weight.dim() == 2 and close(y, functional.embedding(x, weight)):
                return Call(name, EMBEDDING, x, y, weight)
        elif weight.dim() == 2:
            offset = bias if bias is not None else 0.0
            if x.shape[-1] == weight.shape[1] and close(y, x @ weight.t() + offset):
                return Call(name, LINEAR, x, y, weight)
            if x.shape[-1] == weight.shape[0] and close(y, x @ weight + offset):
                return Call(name, LINEAR, x, y, weight, transposed=True)
        elif weight.dim() == 1 and weight.shape[0] == x.shape[-1]:
            found = _norm(part, x, y, weight, bias)
            if found is not None:
                return Call(name, found[0], x, y, weight, eps=found[1])
    shapes = ", ".join(f"{key} {list(p.shape)}" for key, p in part.named_parameters(recurse=False))
    raise MappingError(
        f"{name or 'the module'}: {type(part).__qualname__} with {shapes} computes neither an "
        "embedding, a linear layer, a LayerNorm nor an RMSNorm"
    )


def _norm(part: Any, x: Any, y: Any, weight: Any, bias: Any) -> Optional[tuple[str, float]]:
    from torch.nn import functional

    said = [getattr(part, key, None) for key in _EPS_NAMES]
    tries = [eps for eps in said if isinstance(eps, float)] + list(_EPS_USUAL)
    root = {eps: x * (x.pow(2).mean(-1, keepdim=True) + eps).rsqrt() for eps in tries}
    made = [(LAYER_NORM, e, functional.layer_norm(x, weight.shape, weight, bias, e)) for e in tries]
    if bias is None:
        made += [(RMS_NORM, eps, root[eps] * weight) for eps in tries]
    kind, eps, best = min(made, key=lambda one: float((one[2] - y).abs().max()))
    return (kind, eps) if close(y, best) else None
