"""Models of transformers, trained and compared with PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

from test_train import train_both  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES  # noqa: E402

import waferstream  # noqa: E402
from waferstream.modules import map_module  # noqa: E402
from waferstream.modules.pretrained import parameters_of  # noqa: E402

GPT2 = {"vocab_size": 65, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32}
NO_DROPOUT = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
LLAMA = {
    "vocab_size": 65,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}
SHAPES = {
    "gpt2": {**GPT2, **NO_DROPOUT},
    "gpt_neox": LLAMA,
    "gptj": {**GPT2, "rotary_dim": 4},
    "llama": LLAMA,
    "mistral": LLAMA,
    "mixtral": {**LLAMA, "num_local_experts": 4},
    "olmo2": {**LLAMA, "pad_token_id": None, "eos_token_id": None},
    "qwen2": {**LLAMA, "tie_word_embeddings": True},
    "qwen3": {**LLAMA, "head_dim": 8},
    "qwen3_moe": {
        **LLAMA,
        "head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
    },
}


# Those that this release of transformers has.
THERE = [kind for kind in SHAPES if kind in CONFIG_MAPPING_NAMES]


def make(model_type: str, **more: Any) -> Any:
    config = transformers.AutoConfig.for_model(model_type, **{**SHAPES[model_type], **more})
    torch.manual_seed(5)
    return transformers.AutoModelForCausalLM.from_config(config).float()


@pytest.mark.parametrize("model_type", THERE)
def test_trains_as_by_pytorch(model_type: str, tokens: Any) -> None:
    train_both(make(model_type), tokens, wafers=2)


def test_experts_are_views() -> None:
    module = make("mixtral")
    found = {parameter.name: parameter for parameter in map_module(module).parameters}
    name = "model.layers.1.block_sparse_moe.experts.3.w3.weight"
    found[name].write(found[name].read() * 0 + 7)
    fresh = {parameter.name: parameter for parameter in map_module(module).parameters}
    assert (fresh[name].read() == 7).all() and fresh[name].shape == (48, 32)
    assert sum(float((p == 7).sum()) for p in module.parameters()) == 48 * 32


@pytest.mark.parametrize(
    ("family", "gate", "up", "down"),
    [
        ("mixtral", "block_sparse_moe.experts.2.w1", "block_sparse_moe.experts.2.w3",
         "block_sparse_moe.experts.2.w2"),
        ("qwen3_moe", "mlp.experts.2.gate_proj", "mlp.experts.2.up_proj", "mlp.experts.2.down_proj"),
    ],
)  # fmt: skip
def test_experts_in_one_tensor_are_taken_apart(family: str, gate: str, up: str, down: str) -> None:
    """As transformers 5 has them."""
    both = torch.arange(4.0 * 6 * 2).view(4, 6, 2)
    found = {
        p.name: p.read()
        for name, tensor in (("gate_up_proj", both), ("down_proj", torch.ones(4, 2, 3)))
        for p in parameters_of(family, f"model.layers.0.mlp.experts.{name}", tensor)
    }
    assert len(found) == 12
    assert (found[f"model.layers.0.{gate}.weight"] == both[2, :3].numpy()).all()
    assert (found[f"model.layers.0.{up}.weight"] == both[2, 3:].numpy()).all()
    assert found[f"model.layers.0.{down}.weight"].shape == (2, 3)


def test_another_models_module_in_it_is_named() -> None:
    class Mine(torch.nn.Linear):
        pass

    module = make("llama")
    module.model.layers[1].mlp.up_proj = Mine(32, 48, bias=False)
    with pytest.raises(
        waferstream.MappingError, match=r"^model\.layers\.1\.mlp\.up_proj: .*Mine is not of trans"
    ):
        map_module(module)


def test_a_layer_that_the_family_has_not_is_named(tokens: Any) -> None:
    module = make("llama")
    module.model.layers[1].mlp.up_proj = torch.nn.Linear(32, 48, bias=True)
    with pytest.raises(waferstream.MappingError, match=r"^model\.layers\.1\.mlp\.up_proj: "):
        waferstream.train(module, tokens, steps=1, lr=1e-3, batch_size=1, progress=False)


def test_a_family_that_there_is_not_is_waferctls_to_refuse(tokens: Any) -> None:
    config = transformers.AutoConfig.for_model(
        "opt", vocab_size=65, hidden_size=32, ffn_dim=64, num_hidden_layers=1,
        num_attention_heads=4, max_position_embeddings=32, dropout=0.0, word_embed_proj_dim=32,
    )  # fmt: skip
    module = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(waferstream.MappingError, match=r'model_type is "opt"'):
        waferstream.train(
            module, [2, 3] * 50, steps=1, lr=1e-3, batch_size=1, context=16, progress=False
        )


def test_dropout_of_attention_is_named() -> None:
    config = transformers.AutoConfig.for_model("gpt2", **GPT2)
    module = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(
        waferstream.MappingError, match=r"^config\.attn_pdrop: dropout of attention"
    ):
        map_module(module)
    assert map_module(module, dropout=0).dropout == 0


def test_a_model_without_a_head_is_refused() -> None:
    module = make("llama").model
    with pytest.raises(waferstream.MappingError, match="has no output projection"):
        map_module(module)


def test_a_padding_token_is_refused(tokens: Any) -> None:
    module = make("llama", pad_token_id=3)
    with pytest.raises(waferstream.MappingError, match=r"^model\.embed_tokens: .* padding_idx, 3"):
        waferstream.train(module, tokens, steps=1, lr=1e-3, batch_size=1, progress=False)
