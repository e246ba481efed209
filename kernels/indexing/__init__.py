"""Arrays put together from the items of others: no arithmetic but the sums of the gradients.

- ``embedding``: rows of a table by their numbers; one-hot codes.
- ``gathering``: items along an axis by their numbers.
- ``padding``: new items around an array.
- ``joining``: arrays one after the other, along an axis or a new one.
- ``specs``: ``SPECS`` of padding and joining, and of an embedding's gradient.
"""

from . import embedding as _embedding
from . import gathering, specs
from .embedding import embedding, embedding_backward, one_hot
from .gathering import gather, gather_backward
from .joining import concatenate, part, stack
from .padding import pad, pad_backward

SPECS = (*_embedding.SPECS, *gathering.SPECS, *specs.SPECS)

__all__ = [
    "SPECS",
    "concatenate",
    "embedding",
    "embedding_backward",
    "gather",
    "gather_backward",
    "one_hot",
    "pad",
    "pad_backward",
    "part",
    "stack",
]
