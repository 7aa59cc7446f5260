"""Llama and Qwen 2 as plain modules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from waferstream.errors import MappingError
from waferstream.modules.attention import attend, turn
from waferstream.modules.mapping import Parameter, Piece
from waferstream.modules.reader import Config, Reader, common
from waferstream.modules.trace import LINEAR, RMS_NORM, Call, close

_THETA_NAMES = ("rope_theta", "theta", "rope_base", "base")
_THETAS = (10000.0, 500000.0, 1000000.0)


@dataclass(frozen=True)
class _Heads:
    count: int
    columns: int
    theta: float
    in_pairs: bool  # which columns of a head are turned together


class LlamaReader(Reader):
    """RMSNorm before each half of a layer, rotary positions, a gated MLP, no biases but Qwen 2's."""

    family = "llama"
    norm_kind = RMS_NORM
    layers_name = "model.layers"
    first_norm = "input_layernorm"
    attention = "self_attn"
    second_norm = "post_attention_layernorm"
    last_norm = "model.norm"
    head = "lm_head"

    heads: Optional[_Heads] = None
    kv_heads = 0
    ffn = 0
    qkv_bias: Optional[bool] = None

    def read_embeddings(self) -> Any:
        tokens = self.read_tokens()
        if self.found.own:
            place, tensor = next(iter(self.found.own.items()))
            raise MappingError(f"{place}: a parameter {list(tensor.shape)} of no layer")
        place = f"{tokens.name}.weight"
        self.add("model.embed_tokens.weight", place, self.tensor(place))
        self._next = 1
        return tokens.y

    def shape(self) -> Config:
        assert self.heads is not None
        family = "qwen2" if self.qkv_bias else "llama"
        return {
            "model_type": family,
            "architectures": ["Qwen2ForCausalLM" if self.qkv_bias else "LlamaForCausalLM"],
            "num_hidden_layers": self.layers,
            "hidden_size": self.hidden,
            "num_attention_heads": self.heads.count,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.heads.columns,
            "intermediate_size": self.ffn,
            "max_position_embeddings": self.context,
            "vocab_size": self.vocab,
            "rms_norm_eps": self.eps,
            "rope_theta": self.heads.theta,
            "hidden_act": "silu",
        }

    def read_attention(self, name: str, norm: Call) -> Call:
        into = self.take_linears(norm.y)
        out = self.take(LINEAR, "attention's output projection")
        self.note_attention(into, out)
        if len(into) != 3:
            raise MappingError(
                f"{common(into, norm)}: q, k and v are expected in three linear layers; found: {len(into)}"
            )
        q, k, v = into
        found = next((one for one in self._candidates(q, k) if self._is(one, into, out)), None)
        if found is None:
            raise MappingError(
                f"{self.attentions[-1].holder}: is not causal attention with rotary positions, in any number "
                f"of heads and with any base that is known; its output reaches {out.name}"
            )
        self.heads = found
        self.kv_heads = int(k.y.shape[-1]) // found.columns
        self._check_biases(into)
        self._add_turned(f"{name}.q_proj", q)
        self._add_turned(f"{name}.k_proj", k)
        self._add_linear(f"{name}.v_proj", v, bias=bool(self.qkv_bias))
        self._add_linear(f"{name}.o_proj", out)
        return out

    def _candidates(self, q: Call, k: Call) -> Iterator[_Heads]:
        if self.heads is not None:
            yield self.heads
            return
        q_columns, k_columns = int(q.y.shape[-1]), int(k.y.shape[-1])
        for count in self.head_counts(q_columns):
            columns = q_columns // count
            if columns % 2 or k_columns % columns or count % (k_columns // columns):
                continue
            for theta in self._thetas():
                yield _Heads(count, columns, theta, in_pairs=False)
                yield _Heads(count, columns, theta, in_pairs=True)

    def _is(self, heads: _Heads, into: list[Call], out: Call) -> bool:
        q, k = (
            turn(one.y, heads.columns, heads.theta, in_pairs=heads.in_pairs) for one in into[:2]
        )
        return close(out.x, attend(q, k, into[2].y, heads.count))

    def _thetas(self) -> list[float]:
        """What modules say first, or what lies in them."""
        said = []
        for part in self.module.modules():
            for holder in [part, *vars(part).values()]:
                for key in _THETA_NAMES:
                    value = getattr(holder, key, None)
                    if isinstance(value, (int, float)) and value > 1:
                        said.append(float(value))
        return list(dict.fromkeys([*said, *_THETAS]))

    def _check_biases(self, into: list[Call]) -> None:
        have = [self.has_bias(one) for one in into]
        if self.qkv_bias is None:
            self.qkv_bias = have[0]
        unlike = [one.name for one, has in zip(into, have) if has != self.qkv_bias]
        if unlike:
            raise MappingError(f"{unlike[0]}: q, k and v have biases all or none, in every layer")

    def read_mlp(self, name: str, norm: Call) -> Call:
        from torch.nn import functional

        into = self.take_linears(norm.y)
        out = self.take(LINEAR, "the MLP's last linear layer")
        if len(into) != 2:
            raise MappingError(f"{common(into, norm)}: two linear layers into the MLP are expected")
        for gate, up in (into, into[::-1]):
            if close(out.x, functional.silu(gate.y) * up.y):
                break
        else:
            raise MappingError(
                f"{out.name}: its input is not silu(gate) * up of {into[0].name} and {into[1].name}"
            )
        self.ffn = int(gate.y.shape[-1])
        self._add_linear(f"{name}.gate_proj", gate)
        self._add_linear(f"{name}.up_proj", up)
        self._add_linear(f"{name}.down_proj", out)
        return out

    def _add_linear(self, name: str, call: Call, *, bias: bool = False) -> None:
        self.add(f"{name}.weight", f"{call.name}.weight", self.weight(call))
        if bias:
            self.add(f"{name}.bias", f"{call.name}.bias", self.tensor(f"{call.name}.bias"))
        elif self.has_bias(call):
            raise MappingError(f"{call.name}: has a bias, and {self.family}'s has none")

    def _add_turned(self, name: str, call: Call) -> None:
        """Files have the columns that are turned together half a head apart."""
        names = ["weight", "bias"] if self.qkv_bias else ["weight"]
        for what in names:
            tensor = self.weight(call) if what == "weight" else self.tensor(f"{call.name}.bias")
            piece = Piece(self._halves(tensor), tuple(tensor.shape))
            self.add_parameter(Parameter(f"{name}.{what}", (piece,)), f"{call.name}.{what}")

    def _halves(self, tensor: Any) -> Any:
        assert self.heads is not None
        if not self.heads.in_pairs:
            return tensor
        pairs = tensor.view(-1, self.heads.columns // 2, 2, *tensor.shape[1:])
        return pairs.transpose(1, 2)
