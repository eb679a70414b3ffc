"""What a word without quotes means: YAML 1.2's core schema, and nothing that JSON could not hold."""

from __future__ import annotations

import math
import re
from typing import Any

from .problems import legible

LONGEST_NUMBER = 1000  # characters

# YAML 1.2.2, section 10.3.2, except that a number with a leading zero (`010`) is text, as it is an octal one in YAML 1.1.
CORE = re.compile(
    r"(?:(?P<null>null|Null|NULL|~|)"
    r"|(?P<true>true|True|TRUE)|(?P<false>false|False|FALSE)"
    r"|(?P<int>[-+]?(?:0|[1-9][0-9]*))|(?P<octal>0o[0-7]+)|(?P<hex>0x[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<endless>[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN))\Z"
)


def resolve(text: str) -> Any:
    """None, a truth value, an exact integer, a float, or the text itself. ValueError for a number that JSON could not hold."""
    found = CORE.match(text)
    kind = found.lastgroup if found else None
    if kind is None:
        return text
    if kind in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[kind]
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"this number has {len(text)} characters; the most is {LONGEST_NUMBER}")
    if kind == "float" and math.isfinite(number := float(text)):
        return number
    if kind in ("float", "endless"):
        raise ValueError(f"`{legible(text)}` is not a number that JSON can hold")
    return int(text, {"int": 10, "octal": 8, "hex": 16}[kind])
