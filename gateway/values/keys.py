"""What every mapping of ours in a YAML file is."""

from __future__ import annotations

from msgspec import Struct


class Keys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True, rename=lambda name: name.rstrip("_")):
    """
    A mapping in a YAML file: the base of every struct that describes one.

    The first paragraph of a subclass's docstring says what it is; each line `key: text` after it documents one key. The JSON
    Schemas and the reference are made from them. A field called `from_` is written `from`. `dict=True` makes room for
    `cached_property`: what is compiled from the keys.
    """
