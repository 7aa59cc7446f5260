"""GPT-2 as a plain module: nanoGPT's, minGPT's and others like them."""

from __future__ import annotations

from itertools import permutations
from typing import Any, Optional

from waferstream.errors import MappingError
from waferstream.modules.attention import attend
from waferstream.modules.mapping import Parameter, Piece
from waferstream.modules.reader import Config, Reader, common
from waferstream.modules.trace import EMBEDDING, LAYER_NORM, LINEAR, Call, close


class Gpt2Reader(Reader):
    """LayerNorm before each half of a layer, learned positions, GELU, biases."""

    family = "gpt2"
    norm_kind = LAYER_NORM
    layers_name = "transformer.h"
    first_norm = "ln_1"
    attention = "attn"
    second_norm = "ln_2"
    last_norm = "transformer.ln_f"
    head = "lm_head"

    heads = 0
    ffn = 0
    activation = ""

    def read_embeddings(self) -> Any:
        tokens = self.read_tokens()
        self.add(
            "transformer.wte.weight", f"{tokens.name}.weight", self.tensor(f"{tokens.name}.weight")
        )
        self._next = 1
        if self.found.own:
            return tokens.y + self._read_own_positions()
        others = [call for call in self.found.calls[:2] if call is not tokens]
        if not others or others[0].kind != EMBEDDING:
            raise MappingError(
                f"{self._here()}: learned positions, an Embedding, are expected after "
                f"{tokens.name}; LayerNorms without them are of no plain family"
            )
        self._next = 2
        place = f"{others[0].name}.weight"
        self._add_positions(place, self.tensor(place))
        return tokens.y + others[0].y

    def shape(self) -> Config:
        return {
            "model_type": "gpt2",
            "architectures": ["GPT2LMHeadModel"],
            "n_layer": self.layers,
            "n_embd": self.hidden,
            "n_head": self.heads,
            "n_inner": self.ffn,
            "n_positions": self.context,
            "vocab_size": self.vocab,
            "layer_norm_epsilon": self.eps,
            "activation_function": self.activation,
        }

    def add_norm(self, name: str, norm: Call) -> None:
        super().add_norm(name, norm)
        self._add_bias(f"{name}.bias", [norm])

    def _read_own_positions(self) -> Any:
        """A parameter [1, T, D] or [T, D] of a module that has parts, as minGPT's first release had."""
        for place, tensor in self.found.own.items():
            view = self.tensor(place)
            if (
                len(self.found.own) > 1
                or tensor.shape[-1] != self.hidden
                or tensor.dim() not in (2, 3)
            ):
                break
            view = view[0] if view.dim() == 3 else view
            self._add_positions(place, view)
            positions = tensor[0] if tensor.dim() == 3 else tensor
            return positions[: self.found.ids.shape[1]].detach()
        place, tensor = next(iter(self.found.own.items()))
        raise MappingError(f"{place}: a parameter {list(tensor.shape)} of no layer")

    def _add_positions(self, place: str, view: Any) -> None:
        self.context = int(view.shape[0])
        self.add("transformer.wpe.weight", place, view)

    def read_attention(self, name: str, norm: Call) -> Call:
        into = self.take_linears(norm.y)
        out = self.take(LINEAR, "attention's output projection")
        self.note_attention(into, out)
        if len(into) == 1 and into[0].y.shape[-1] == 3 * self.hidden:
            parts = list(into[0].y.split(self.hidden, -1))
            orders: list[tuple[int, ...]] = [(0, 1, 2)]
        elif len(into) == 3 and all(one.y.shape[-1] == self.hidden for one in into):
            parts = [one.y for one in into]
            orders = list(permutations(range(3)))
            orders.sort(key=lambda order: [_letter(into[i]) for i in order] != ["q", "k", "v"])
        else:
            widths = ", ".join(f"{one.name} ({one.y.shape[-1]})" for one in into) or "none"
            raise MappingError(
                f"{common(into, norm)}: q, k and v are expected, of {self.hidden} columns each, in "
                f"one linear layer or three; found: {widths}"
            )
        order = self._order_of(parts, orders, out)
        if order is None:
            raise MappingError(
                f"{self.attentions[-1].holder}: is not causal attention, softmax(q k' / sqrt(columns of a "
                f"head)) v, in any number of heads; its output reaches {out.name}"
            )
        self._add_qkv(f"{name}.c_attn", [into[i] for i in order] if len(into) == 3 else into)
        self._add_linear(f"{name}.c_proj", out)
        return out

    def _order_of(
        self, parts: list[Any], orders: list[tuple[int, ...]], out: Call
    ) -> Optional[tuple[int, ...]]:
        """Which is q, k and v; and how many heads there are."""
        counts = [self.heads] if self.heads else self.head_counts(self.hidden)
        for heads in counts:
            for order in orders:
                q, k, v = (parts[i] for i in order)
                if close(out.x, attend(q, k, v, heads)):
                    self.heads = heads
                    return tuple(order)
        return None

    def read_mlp(self, name: str, norm: Call) -> Call:
        from torch.nn import functional

        into = self.take_linears(norm.y)
        if len(into) != 1:
            raise MappingError(f"{common(into, norm)}: one linear layer into the MLP is expected")
        out = self.take(LINEAR, "the MLP's second linear layer")
        made = {
            "gelu_new": functional.gelu(into[0].y, approximate="tanh"),
            "gelu": functional.gelu(into[0].y),
        }
        tries = [self.activation] if self.activation else list(made)
        found = next((kind for kind in tries if close(out.x, made[kind])), None)
        if found is None:
            raise MappingError(f"{out.name}: its input is not GELU of {into[0].name}'s output")
        self.activation = found
        self.ffn = int(into[0].y.shape[-1])
        self._add_linear(f"{name}.c_fc", into[0])
        self._add_linear(f"{name}.c_proj", out)
        return out

    def _add_linear(self, name: str, call: Call) -> None:
        """As Conv1D has it: [in, out]."""
        self.add(f"{name}.weight", f"{call.name}.weight", self.weight(call).t())
        self._add_bias(f"{name}.bias", [call])

    def _add_qkv(self, name: str, calls: list[Call]) -> None:
        views = [self.weight(call).t() for call in calls]
        pieces = tuple(Piece(view, tuple(view.shape)) for view in views)
        self.add_parameter(Parameter(f"{name}.weight", pieces, axis=1), f"{calls[0].name}.weight")
        self._add_bias(f"{name}.bias", calls)

    def _add_bias(self, name: str, calls: list[Call]) -> None:
        have = [self.has_bias(call) for call in calls]
        if not any(have):
            self.add_absent(name, sum(int(call.y.shape[-1]) for call in calls))
            return
        if not all(have):
            raise MappingError(
                f"{calls[have.index(False)].name}: has no bias, unlike its neighbours"
            )
        views = [self.tensor(f"{call.name}.bias") for call in calls]
        pieces = tuple(Piece(view, tuple(view.shape)) for view in views)
        self.add_parameter(Parameter(name, pieces), f"{calls[0].name}.bias")


def _letter(call: Call) -> str:
    """What a layer's own name says that it makes."""
    last = call.name.rpartition(".")[2].lower()
    if last.startswith(("key", "query", "value")):
        return last[0]
    return next((letter for letter in "qkv" if letter in last), "")
