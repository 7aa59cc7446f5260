"""What a plain module is mapped to, and which modules are refused, by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import plain_modules as plain  # noqa: E402
from torch import nn  # noqa: E402

import waferstream  # noqa: E402
from waferstream.modules import MappedModel, map_module  # noqa: E402


def parameters_of(model: MappedModel) -> dict[str, Any]:
    return {parameter.name: parameter for parameter in model.parameters}


def test_gpt_in_the_manner_of_nanogpt() -> None:
    module = plain.Gpt()
    model = map_module(module)
    assert model.config == {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": 2,
        "n_embd": 32,
        "n_head": 4,
        "n_inner": 128,
        "n_positions": 32,
        "vocab_size": 65,
        "layer_norm_epsilon": 1e-5,
        "activation_function": "gelu",
        "tie_word_embeddings": True,
    }
    assert (model.context, model.vocab, model.dropout, model.frozen) == (32, 65, 0, ())
    found = parameters_of(model)
    assert len(found) == 28
    attention = module.transformer["h"][1].attn.c_attn
    wanted = attention.weight.detach().numpy().T
    assert (found["transformer.h.1.attn.c_attn.weight"].read() == wanted).all()


def test_what_is_written_is_the_modules() -> None:
    module = plain.Gpt()
    before = copy.deepcopy(module)
    for parameter in map_module(module).parameters:
        parameter.write(2 * parameter.read())
    for name, tensor in before.named_parameters():
        assert torch.equal(module.get_parameter(name), 2 * tensor), name


def test_gpt_with_key_query_and_value_apart() -> None:
    module = plain.ApartGpt()
    model = map_module(module)
    assert model.config["activation_function"] == "gelu_new"
    assert (model.config["n_head"], model.config["n_inner"]) == (4, 96)
    assert model.config["tie_word_embeddings"] is False
    found = parameters_of(model)
    block = module.blocks[0]
    order = (block.second, block.first, block.third)  # query, key, value
    wanted = torch.cat([one.weight.t() for one in order], 1).detach().numpy()
    assert (found["transformer.h.0.attn.c_attn.weight"].read() == wanted).all()
    found["transformer.h.0.attn.c_attn.weight"].write(wanted + 1)
    assert (block.first.weight.detach().numpy() == wanted[:, 32:64].T + 1).all()
    assert found["transformer.wpe.weight"].shape == (32, 32)
    assert found["lm_head.weight"].shape == (65, 32)


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_llama(pairs: bool, kv_heads: int) -> None:
    module = plain.Llama(kv_heads, pairs)
    model = map_module(module, context=16)
    config = model.config
    assert (config["model_type"], config["num_key_value_heads"]) == ("llama", kv_heads)
    assert (config["num_attention_heads"], config["head_dim"]) == (4, 8)
    assert (config["rope_theta"], config["rms_norm_eps"]) == (5000.0, 1e-6)
    read = parameters_of(model)["model.layers.1.self_attn.q_proj.weight"].read()
    weight = module.layers[1].attention.wq.weight.detach().numpy()
    if pairs:  # columns 2i and 2i + 1 of a head become i and i + 4
        weight = weight.reshape(4, 4, 2, 32).swapaxes(1, 2).reshape(32, 32)
    assert (read == weight).all()


def test_llama_with_biases_is_qwen2() -> None:
    model = map_module(plain.Llama(qkv_bias=True), context=16)
    assert model.config["model_type"] == "qwen2"
    assert "model.layers.0.self_attn.k_proj.bias" in parameters_of(model)


def test_biases_that_are_not_there_are_zeros_and_stay() -> None:
    model = map_module(plain.Gpt(bias=False))
    assert len(model.frozen) == 13 and all(name.endswith(".bias") for name in model.frozen)
    bias = parameters_of(model)["transformer.h.0.attn.c_attn.bias"]
    assert bias.shape == (96,) and not bias.read().any()


def test_what_is_not_trained_is_frozen() -> None:
    module = plain.Gpt()
    module.transformer["wpe"].requires_grad_(False)
    assert map_module(module).frozen == ("transformer.wpe.weight",)


def test_the_module_stays_as_it_is() -> None:
    module = plain.Gpt()
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.train()
    map_module(module)
    assert module.training
    assert all(torch.equal(state[name], t) for name, t in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())


def test_a_compiled_module_is_the_one_within() -> None:
    class Compiled(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self._orig_mod = inner

    assert "transformer.wte.weight" in parameters_of(map_module(Compiled(plain.Gpt())))


def changed(change: Any) -> Any:
    module = plain.Gpt()
    change(module.transformer["h"][1], module)
    return module


class Doubled(nn.Module):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return 2 * self.inner(x)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(32))

    def forward(self, x: Any) -> Any:
        return x * self.gain


def two_in_a_row(block: Any, module: Any) -> None:
    block.attn.c_proj = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32))


class PostNorm(plain.Block):
    def forward(self, x: Any) -> Any:
        x = self.ln_1(x + self.attn(x))
        return self.ln_2(x + self.mlp(x))


def post_norm(block: Any, module: Any) -> None:
    block.__class__ = PostNorm


def untrained_scale(block: Any, module: Any) -> None:
    block.attn.register_parameter("scale", nn.Parameter(torch.ones(1)))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda block, module: setattr(block.mlp, "activation", nn.ReLU()),
            r"^transformer\.h\.1\.mlp\.c_proj: its input is not GELU of transformer\.h\.1\.mlp\.c_fc",
        ),
        (
            lambda block, module: setattr(block.mlp, "activation", nn.GELU(approximate="tanh")),
            r"^transformer\.h\.1\.mlp\.c_proj: its input is not GELU",
        ),
        (
            lambda block, module: setattr(block.attn, "n_head", 2),
            r"^transformer\.h\.1\.attn: is not causal attention",
        ),
        (
            two_in_a_row,
            r"^transformer\.h\.1\.attn\.c_proj\.1: is a linear layer where the LayerNorm",
        ),
        (
            lambda block, module: setattr(block, "mlp", Doubled(block.mlp)),
            r"^transformer\.ln_f: its input is not the sum",
        ),
        (
            lambda block, module: setattr(block, "ln_2", nn.BatchNorm1d(32)),
            r"^transformer\.h\.1\.ln_2: cannot be run on token ids: ",
        ),
        (
            lambda block, module: setattr(block, "ln_2", Scaled()),
            r"^transformer\.h\.1\.ln_2: Scaled with gain \[32\] computes neither an embedding",
        ),
        (
            lambda block, module: setattr(block, "ln_2", plain.RmsNorm()),
            r"^transformer\.h\.1\.ln_2: is a RMSNorm where the LayerNorm before the MLP",
        ),
        (
            lambda block, module: setattr(block, "ln_1", nn.LayerNorm(32, eps=1e-3)),
            r"^transformer\.h\.1\.ln_1: epsilon is 0\.001, and that of transformer\.h\.0\.ln_1 1e-05",
        ),
        (
            lambda block, module: setattr(module, "extra", nn.Linear(3, 3)),
            r"^extra: Linear takes no part: nothing calls it",
        ),
        (
            lambda block, module: setattr(block, "mlp", module.transformer["h"][0].mlp),
            r"is called more than once",
        ),
        (
            lambda block, module: setattr(module, "lm_head", nn.Linear(32, 65)),
            r"^lm_head: has a bias, and gpt2's has none",
        ),
        (untrained_scale, r"^transformer\.h\.1\.attn\.scale: a parameter \[1\] of no layer"),
        (post_norm, r"^transformer\.h\.1\.attn\.c_attn: is a linear layer where the LayerNorm"),
    ],
)
def test_what_cannot_be_mapped_is_named(change: Any, line: str) -> None:
    with pytest.raises(waferstream.MappingError, match=line) as refused:
        map_module(changed(change))
    assert "\n" not in str(refused.value)


def test_what_is_no_language_model_is_refused() -> None:
    with pytest.raises(waferstream.MappingError, match="has no Embedding"):
        map_module(nn.Linear(3, 3))
    with pytest.raises(waferstream.UsageError, match="int is no torch.nn.Module"):
        map_module(3)


def test_dropout_of_attention_is_refused_unless_the_caller_says_otherwise() -> None:
    module = plain.Gpt(dropout=0.1)
    with pytest.raises(
        waferstream.MappingError,
        match=r"^transformer\.h\.0\.attn\.attn_dropout: dropout of attention",
    ):
        map_module(module)
    assert map_module(module, dropout=0.1).dropout == 0.1
    for block in module.transformer["h"]:
        block.attn.attn_dropout.p = 0.0
    assert map_module(module).dropout == 0.1
    module.transformer["h"][1].attn.resid_dropout.p = 0.2
    with pytest.raises(waferstream.MappingError, match=r"h\.1\.attn\.resid_dropout: drops 0\.2"):
        map_module(module)
    with pytest.raises(waferstream.UsageError, match="dropout: 1 is not within"):
        map_module(module, dropout=1)


def test_a_shorter_context_takes_the_beginning_of_the_positions() -> None:
    module = plain.ApartGpt()
    model = map_module(module, context=8)
    assert (model.context, model.config["n_positions"]) == (8, 8)
    positions = parameters_of(model)["transformer.wpe.weight"]
    positions.write(positions.read() + 1)
    moved = module.positions.detach()[0].ne(plain.ApartGpt().positions.detach()[0]).any(-1)
    assert moved.tolist() == [True] * 8 + [False] * 24
