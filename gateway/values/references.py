"""Where a value is kept: what a file says in place of a secret."""

from __future__ import annotations

from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from msgspec.structs import replace

from .keys import Keys


class Reference(Keys, frozen=True):
    """
    Where a value is kept. A secret never stands in a file we read.

    env: The environment variable that holds it. One newline at its end is taken off.
    file: The file that holds it, relative to the secrets directory. One newline at its end is taken off.
    previous: The value before this one; it is accepted too until you remove this key (rotation).
    prefix: Taken off the front of the value, as in `whsec_…`.
    decode: `base64`: the value is decoded before it is used as a key.
    default: Used when nothing is set. For `vars` only: a secret has no default.
    optional: While it is not set, it finds nothing, and what needs it is left out. For `vars`, `secrets` and `auth` of a sink.
    """

    env: str | None = None
    file: str | None = None
    previous: Reference | None = None
    prefix: str = ""
    decode: Literal["base64"] | None = None
    default: str | None = None
    optional: bool = False

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError("give either env or file")
        if self.file is not None and not _stays_inside(self.file):
            raise ValueError("file: write a path relative to the secrets directory, without ..")
        if self.previous is not None and self.previous.previous is not None:
            raise ValueError("previous: only one value before this one is accepted; take the older one away")

        if self.optional and self.default is not None:
            raise ValueError("optional: with a `default` there always is a value; take one of the two away")

    def __str__(self) -> str:
        return self.env if self.env is not None else f"file {self.file}"

    @cached_property
    def earlier(self) -> Reference | None:
        """The value before this one, read as this one is unless it says otherwise."""
        was = self.previous
        return was and replace(was, prefix=was.prefix or self.prefix, decode=was.decode or self.decode)


Setting = str | Reference  # what is no secret: itself, or where it is kept


def _stays_inside(file: str) -> bool:
    path = PurePosixPath(file)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in file


def references_of(keys: Keys) -> list[Reference]:
    """Those among these keys' own values, and in their lists and mappings."""
    found: list[Reference] = []
    for name in keys.__struct_fields__:
        value = getattr(keys, name)
        several = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
        found += [each for each in several if isinstance(each, Reference)]
    return found


def check_secrets(keys: Keys, *names: str, decoded: bool = False) -> None:
    """Raise ValueError where one of these keys is a secret with a `default`, or with a `decode` that nothing would heed."""
    for name in names:
        reference: Reference = getattr(keys, name)
        for each in filter(None, (reference, reference.previous)):
            if each.default is not None:
                raise ValueError(f"{name}: a secret has no default; set its variable or file, and take `default` away")
            if each.decode is not None and not decoded:
                raise ValueError(f"{name}: only the key of a signature is decoded; take `decode` away")
