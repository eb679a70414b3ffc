"""
What a YAML value may be, beyond JSON's own types: durations, sizes, rates, patterns, networks, secrets. Each reads itself.

To add one: a class with `read` (raises ValueError with a sentence that says how to mend it) and `schema` (its JSON Schema).
"""

from .files import read_bounded
from .keys import Keys
from .networks import Network
from .references import Reference, Setting, check_secrets, references_of
from .secrets import Secrets, unbase64
from .texts import Pattern, harmless
from .tls import Tls
from .units import Duration, Rate, Rates, Size

__all__ = [
    "Duration",
    "Keys",
    "Network",
    "Pattern",
    "Rate",
    "Rates",
    "Reference",
    "Secrets",
    "Setting",
    "Size",
    "Tls",
    "check_secrets",
    "harmless",
    "read_bounded",
    "references_of",
    "unbase64",
]
