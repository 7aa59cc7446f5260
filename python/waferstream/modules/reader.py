"""Reads a trace from its first layer to its last; what families have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from waferstream.errors import MappingError
from waferstream.modules.dropout import Attention
from waferstream.modules.mapping import Parameter, Piece, whole
from waferstream.modules.trace import EMBEDDING, LINEAR, Call, Trace, close

_HEADS_NAMES = ("n_head", "n_heads", "num_heads", "num_attention_heads", "nhead", "heads")

Config = dict[str, Any]


class Reader(ABC):
    """Of one module, once. The order: embeddings, layers, last norm, output projection."""

    family: str
    norm_kind: str
    # Names in files, without ".weight": of a layer's parts behind "<layers>.<number>.".
    layers_name: str
    first_norm: str
    attention: str
    second_norm: str
    last_norm: str
    head: str

    def __init__(self, module: Any, found: Trace, context: int) -> None:
        self.module = module
        self.found = found
        self.context = context  # the longest sequence
        self.attentions: list[Attention] = []
        self.parameters: list[Parameter] = []
        self.places: dict[str, str] = {}  # of a parameter: its name in the module
        self.layers = 0
        self._next = 0
        self._eps: Optional[tuple[str, float]] = None

    def read(self) -> tuple[Config, list[Parameter], Mapping[str, str]]:
        h = self.read_embeddings()
        while self._is_layer():
            h = self.read_layer(h)
            self.layers += 1
        if self.layers == 0:
            raise MappingError(f"{self._here()}: no layer of {self.family} begins here")
        tied = self._read_end(h)
        return {**self.shape(), "tie_word_embeddings": tied}, self.parameters, self.places

    @abstractmethod
    def read_embeddings(self) -> Any:
        """The residual that the first layer gets."""

    def read_layer(self, h: Any) -> Any:
        """From residual to residual."""
        name = f"{self.layers_name}.{self.layers}"
        norm = self.take_norm(h, "before attention")
        self.add_norm(f"{name}.{self.first_norm}", norm)
        h = h + self.read_attention(f"{name}.{self.attention}", norm).y
        norm = self.take_norm(h, "before the MLP")
        self.add_norm(f"{name}.{self.second_norm}", norm)
        return h + self.read_mlp(f"{name}.mlp", norm).y

    @abstractmethod
    def read_attention(self, name: str, norm: Call) -> Call:
        """Up to its output projection, which is returned."""

    @abstractmethod
    def read_mlp(self, name: str, norm: Call) -> Call:
        """Up to its last linear layer, which is returned."""

    @abstractmethod
    def shape(self) -> Config:
        """config.json, but for tie_word_embeddings."""

    # -- of the trace --

    def take(self, kind: str, where: str) -> Call:
        """The next call. MappingError: it is of another kind, or there is none."""
        if self._next >= len(self.found.calls):
            raise MappingError(f"{self._last()}: nothing follows it where {where} is expected")
        call = self.found.calls[self._next]
        if call.kind != kind:
            raise MappingError(f"{call.name}: is a {call.kind} where {where} is expected")
        self._next += 1
        return call

    def take_linears(self, x: Any) -> list[Call]:
        """All next ones that read x."""
        found = []
        while self._next < len(self.found.calls):
            call = self.found.calls[self._next]
            if call.kind != LINEAR or not close(call.x, x):
                break
            found.append(call)
            self._next += 1
        return found

    def take_norm(self, x: Any, where: str) -> Call:
        """The next call, of the residual x. All have one epsilon."""
        norm = self.take(self.norm_kind, f"the {self.norm_kind} {where}")
        if not close(norm.x, x):
            raise MappingError(
                f"{norm.name}: its input is not the sum of the embeddings and of what the parts "
                "before it gave"
            )
        if self._eps is None:
            self._eps = (norm.name, norm.eps)
        elif self._eps[1] != norm.eps:
            raise MappingError(
                f"{norm.name}: epsilon is {norm.eps:g}, and that of {self._eps[0]} {self._eps[1]:g}"
            )
        return norm

    @property
    def eps(self) -> float:
        return self._eps[1] if self._eps else 0.0

    def _is_layer(self) -> bool:
        """Whether more follows than the last norm and the output projection."""
        return len(self.found.calls) - self._next > 2

    def _here(self) -> str:
        calls = self.found.calls
        return calls[self._next].name if self._next < len(calls) else self._last()

    def _last(self) -> str:
        return self.found.calls[-1].name

    # -- of the module --

    def tensor(self, name: str) -> Any:
        """The module's own, not the trial's."""
        return self.module.get_parameter(name).detach()

    def weight(self, call: Call) -> Any:
        """Of a linear layer as [out, in]; a view."""
        weight = self.tensor(f"{call.name}.weight")
        return weight.t() if call.transposed else weight

    def has_bias(self, call: Call) -> bool:
        return getattr(self.module.get_submodule(call.name), "bias", None) is not None

    def add(self, name: str, place: str, view: Any) -> None:
        self.add_parameter(whole(name, view), place)

    def add_parameter(self, parameter: Parameter, place: str) -> None:
        self.parameters.append(parameter)
        self.places[parameter.name] = place

    def add_absent(self, name: str, size: int) -> None:
        self.parameters.append(Parameter(name, (Piece(None, (size,)),)))

    def read_tokens(self) -> Call:
        """The embedding of the ids, which may be called after that of positions."""
        for call in self.found.calls[:2]:
            if call.kind == EMBEDDING and close(call.x, self.found.ids):
                self.vocab, self.hidden = map(int, self.tensor(f"{call.name}.weight").shape)
                self._tokens = call
                return call
        raise MappingError(f"{self._here()}: is not an Embedding of the ids, which comes first")

    def head_counts(self, columns: int) -> list[int]:
        """How many heads there may be: what modules say first."""
        said = [
            value
            for part in self.module.modules()
            for key in _HEADS_NAMES
            if isinstance(value := getattr(part, key, None), int) and value > 0
        ]
        every = [count for count in range(1, columns + 1) if columns % count == 0]
        return list(dict.fromkeys([count for count in said if columns % count == 0] + every))

    def note_attention(self, into: Sequence[Call], out: Call) -> None:
        """The layers before and after attention's weights: what lies between them, by dropout's rules."""
        calls = self.found.calls
        holder = common_holder([call.name for call in (*into, out)])
        first = calls.index(into[0]) if into else calls.index(out)
        self.attentions.append(Attention(holder, first, calls.index(out)))

    # -- of the end --

    def _read_end(self, h: Any) -> bool:
        norm = self.take_norm(h, "after the last layer")
        self.add_norm(self.last_norm, norm)
        if self._next == len(self.found.calls):
            self._check_logits("the module", norm.y @ self._tokens.weight.t())
            return True
        head = self.take(LINEAR, "the output projection")
        if self.has_bias(head):
            raise MappingError(f"{head.name}: has a bias, and {self.family}'s has none")
        self._check_logits(head.name, head.y)
        if not close(head.x, norm.y[:, -head.x.shape[1] :]):
            raise MappingError(f"{head.name}: its input is not the last norm's output")
        shared = self.module.get_submodule(head.name).weight
        if shared is self.module.get_submodule(self._tokens.name).weight:
            return True
        self.add(f"{self.head}.weight", f"{head.name}.weight", self.weight(head))
        return False

    def _check_logits(self, name: str, made: Any) -> None:
        logits = self.found.logits
        if not close(logits, made[:, -logits.shape[1] :]):
            raise MappingError(f"{name}: the logits are not its output alone")

    def add_norm(self, name: str, norm: Call) -> None:
        """Its weight, and its bias if the family's has one."""
        self.add(f"{name}.weight", f"{norm.name}.weight", self.tensor(f"{norm.name}.weight"))


def common_holder(names: Sequence[str]) -> str:
    """The innermost module that has all of these: "h.0.attn" of "h.0.attn.q", "h.0.attn.k"."""
    parts = [name.split(".")[:-1] for name in names]
    shared = []
    for level in zip(*parts):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return ".".join(shared)


def common(calls: list[Call], norm: Call) -> str:
    """Where layers that read a norm's output begin."""
    return calls[0].name if calls else norm.name
