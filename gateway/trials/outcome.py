"""How a test went: each failure is a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct


class Outcome(Struct, frozen=True):
    """How one test went. `failures` is empty when it passed; each is a sentence."""

    file: str
    name: str
    failures: tuple[str, ...] = ()
    index: int = 0  # which test of its file it is, from 0


def differences(want: Any, got: Any, where: str) -> Iterator[str]:
    """
    Where `got` does not hold what `want` names, each as a sentence. Mappings may hold more, but no key that is null in `want`, be
    it null there too; everything else must be equal. UNSET is what is not there.
    """
    if isinstance(want, dict) and (isinstance(got, dict) or (want and got is UNSET)):
        held = got if isinstance(got, dict) else {}
        for key, value in want.items():
            yield from differences(UNSET if value is None else value, held.get(key, UNSET), f"{where}.{key}")
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for index, (one, other) in enumerate(zip(want, got, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif want != got or isinstance(want, bool) is not isinstance(got, bool):  # to Python 1 is True; to JSON it is not
        yield f"{where}: expected {shown(want)}, got {shown(got)}"


def shown(value: Any) -> str:
    return "nothing" if value is UNSET else msgspec.json.encode(value).decode()


def counted(came: Sequence[str]) -> str:
    """What came, and how much of it."""
    return f"{len(came)}: {'; '.join(came)}" if came else "none"
