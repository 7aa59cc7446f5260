"""Plain PyTorch modules: a trial run shows which layer does what, and proves that it is all they do.

Every tensor between two layers is made again from those before it by the family's own arithmetic. So
what is mapped computes what the family computes, whatever its classes and attributes are called; and
where it does not, the place is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from waferstream.errors import MappingError
from waferstream.modules.dropout import choose_dropout, drops_of_modules
from waferstream.modules.gpt2_block import Gpt2Reader
from waferstream.modules.llama_block import LlamaReader
from waferstream.modules.mapping import MappedModel, module_of, padding_of
from waferstream.modules.reader import Reader
from waferstream.modules.trace import LAYER_NORM, NORMS, Call, trace


def map_plain(module: Any, context: int, dropout: Optional[float]) -> MappedModel:
    """MappingError: a line that names the module that cannot be mapped, and says why. `context`: of
    modules that do not say it themselves."""
    found = trace(module, context)
    reader = _reader_for(module, found.calls)(module, found, context)
    config, parameters, places = reader.read()
    absent = tuple(parameter.name for parameter in parameters if parameter.is_absent)
    fixed = tuple(n for n, place in places.items() if not module.get_parameter(place).requires_grad)
    return MappedModel(
        config=config,
        parameters=tuple(parameters),
        context=reader.context,
        vocab=reader.vocab,
        dropout=choose_dropout(
            drops_of_modules(module, reader.attentions, found.dropouts), dropout
        ),
        frozen=absent + fixed,
        module_of={name: module_of(place) for name, place in places.items()},
        padding=padding_of(module),
    )


def _reader_for(module: Any, calls: Sequence[Call]) -> type[Reader]:
    norm = next((call for call in calls if call.kind in NORMS), None)
    if norm is None:
        raise MappingError(f"{type(module).__name__}: has no norm, so it is of no family")
    return Gpt2Reader if norm.kind == LAYER_NORM else LlamaReader
