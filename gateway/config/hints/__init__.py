"""How to mend what the decoder finds: what was expected, in words, and what the author may have meant."""

from .kinds import expected, fits, is_foreign, kind, listed
from .mending import REFERENCE, VARIABLE, for_key, for_text, for_type
from .synonyms import did_you_mean, meaning, nearest

__all__ = [
    "REFERENCE",
    "VARIABLE",
    "did_you_mean",
    "expected",
    "fits",
    "for_key",
    "for_text",
    "for_type",
    "is_foreign",
    "kind",
    "listed",
    "meaning",
    "nearest",
]
