"""Models of transformers: by their configuration and the names of their parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Optional

from waferstream.errors import MappingError
from waferstream.modules.dropout import choose_dropout, drops_of_config
from waferstream.modules.mapping import (
    MappedModel,
    Parameter,
    first_of,
    module_of,
    padding_of,
    whole,
)

# Whose modules do what the configuration says; and PyTorch's own, which they are made of.
_THEIRS = ("transformers.", "torch.")
# transformers has all experts of a layer in two tensors; files have a tensor for each matrix.
_EXPERTS = re.compile(r"(?P<layer>.*)\.mlp\.experts\.(?P<what>gate_up_proj|down_proj)")
_EXPERT_NAMES = {
    "mixtral": ("block_sparse_moe.experts", ("w1", "w3"), "w2"),
    "qwen3_moe": ("mlp.experts", ("gate_proj", "up_proj"), "down_proj"),
}


def is_pretrained(module: Any) -> bool:
    """Whether it is a model of transformers, or a subclass of one."""
    return any(c.__module__.startswith("transformers.modeling_utils") for c in type(module).__mro__)


def map_pretrained(module: Any, dropout: Optional[float]) -> MappedModel:
    """MappingError: a line that names the module that cannot be mapped, and says why. Whether the
    configuration is one of a family that there is, is waferctl's to say."""
    for name, part in module.named_modules():
        if not type(part).__module__.startswith(_THEIRS):
            raise MappingError(
                f"{name or 'the module'}: {type(part).__qualname__} is not of transformers, so its "
                "configuration does not say what it computes"
            )
    config = json.loads(module.config.to_json_string(use_diff=False))
    tied = _is_tied(module)
    config.update(tie_word_embeddings=tied, architectures=[type(module).__name__])
    named = list(module.named_parameters())
    family = str(config.get("model_type"))
    return MappedModel(
        config=config,
        parameters=tuple(p for name, tensor in named for p in parameters_of(family, name, tensor)),
        context=int(first_of(config, "n_positions", "max_position_embeddings") or 0),
        vocab=int(config.get("vocab_size") or 0),
        dropout=choose_dropout(drops_of_config(module.config), dropout),
        frozen=tuple(
            p.name
            for name, tensor in named
            if not tensor.requires_grad
            for p in parameters_of(family, name, tensor)
        ),
        module_of={
            p.name: module_of(name)
            for name, tensor in named
            for p in parameters_of(family, name, tensor)
        },
        padding=padding_of(module),
    )


def _is_tied(module: Any) -> bool:
    """What is so, not what the configuration says."""
    head = module.get_output_embeddings()
    embedding = module.get_input_embeddings()
    if head is None:
        raise MappingError(
            f"the module: {type(module).__name__} has no output projection; a model for causal "
            "language modelling is needed"
        )
    return head.weight is embedding.weight


def parameters_of(family: str, name: str, tensor: Any) -> Iterator[Parameter]:
    """What one of the module's tensors is in files: itself, or a matrix of each expert."""
    if not tensor.is_floating_point() or tensor.is_meta:
        raise MappingError(f"{module_of(name)}: {name} is {tensor.dtype} on {tensor.device}")
    tensor = tensor.detach()  # the same memory
    experts = _EXPERTS.fullmatch(name)
    if experts is not None and family in _EXPERT_NAMES:
        yield from _experts(family, experts["layer"], experts["what"], tensor)
        return
    yield whole(_name_in_files(family, name), tensor)


def _experts(family: str, layer: str, what: str, tensor: Any) -> Iterator[Parameter]:
    where, (gate, up), down = _EXPERT_NAMES[family]
    for number, matrix in enumerate(tensor):
        prefix = f"{layer}.{where}.{number}"
        if what == "down_proj":
            yield whole(f"{prefix}.{down}.weight", matrix)
            continue
        half = matrix.shape[0] // 2
        yield whole(f"{prefix}.{gate}.weight", matrix[:half])
        yield whole(f"{prefix}.{up}.weight", matrix[half:])


def _name_in_files(family: str, name: str) -> str:
    """Where transformers' modules have other names than its files."""
    if family == "mixtral":
        return name.replace(".mlp.gate.", ".block_sparse_moe.gate.")
    if family == "gpt_neox" and name == "lm_head.weight":
        return "embed_out.weight"
    return name
