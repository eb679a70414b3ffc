"""A file as it counts: what it inherits and every default worked in, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from ..errors import ConfigError
from .decode import decode
from .files import KINDS, Source, read_document


def effective(source: Source, siblings: Mapping[tuple[str, str], Source]) -> dict[str, Any]:
    """The whole document, keys in the grammar's order, tests left out. Raises ConfigError when the file is wrong."""
    document = read_document(source, siblings)
    if decode(document, KINDS[source.kind]) is None:
        raise ConfigError(sorted(document.problems))
    data = {key: value for key, value in document.data.items() if key not in ("tests", "like")}
    return _with_defaults(KINDS[source.kind], data)


def _with_defaults(struct: type[Struct], given: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        if field.encode_name in given:
            whole[field.encode_name] = given[field.encode_name]
        elif _is_plain(field.default):
            whole[field.encode_name] = field.default
    return whole | {key: value for key, value in given.items() if key not in whole}


def _is_plain(default: Any) -> bool:
    return default is not NODEFAULT and isinstance(default, str | int | float | bool) and default != ""
