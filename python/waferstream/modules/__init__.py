"""Which tensors of a PyTorch module are which of a family's parameters."""

from __future__ import annotations

from typing import Any, Optional

from waferstream.errors import UsageError
from waferstream.modules.mapping import MappedModel
from waferstream.modules.plain import map_plain
from waferstream.modules.pretrained import is_pretrained, map_pretrained

__all__ = ["MappedModel", "map_module"]


def map_module(
    module: Any, *, context: Optional[int] = None, dropout: Optional[float] = None
) -> MappedModel:
    """A model of transformers, or a plain module that computes what GPT-2, Llama or Qwen 2 compute.

    Nothing is copied or changed: the result has views of the module's own parameters. `context`, the
    longest sequence, is for plain modules that have no table of positions. `dropout` takes the place
    of what the module itself would drop. MappingError: one line that names the module that cannot be
    mapped, and says why.
    """
    try:
        import torch
    except ImportError:
        raise UsageError("train: needs PyTorch; pip install waferstream[torch]") from None
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"module: {type(module).__name__} is no torch.nn.Module")
    module = getattr(module, "_orig_mod", module)  # torch.compile's is around it
    if is_pretrained(module):
        return map_pretrained(module, dropout).for_context(context)
    return map_plain(module, context or 0, dropout).for_context(context)
