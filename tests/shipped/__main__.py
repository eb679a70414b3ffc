"""
`python -m tests.shipped`: what becomes of the vendors' webhooks, provider by provider. With `keys`, which parts of them make their
incidents' dedup keys: with another value in one of these it is another incident, and whatever else differs, it is the same.
"""

from __future__ import annotations

import sys
from collections import Counter

from .corpus import LOST, QUIET, came, expectations, providers
from .variations import document, identity, incidents

COLUMNS = ("cases", "trigger", "acknowledge", "resolve", "notice", "ignored", "handshake", "refused", "dead", "unlike")


def rows() -> list[tuple[str, Counter[str]]]:
    """For each provider: its cases, its events by action, and the cases by what else became of them."""
    return [(provider, _row(provider)) for provider in providers()]


def _row(provider: str) -> Counter[str]:
    row: Counter[str] = Counter()
    for case, expected in expectations(provider).items():
        row["cases"] += 1
        if expected["outcome"] == "refused":
            row["refused"] += 1
            continue
        found = came(provider, case)
        row.update(event.action for event in found.events)
        row["dead" if found.outcome in LOST else found.outcome] += 1
        row["unlike"] += not _is_as_expected(expected["outcome"], found.outcome)
    return row


def _is_as_expected(expected: str, outcome: str) -> bool:
    return any(expected in words and outcome in words for words in (QUIET, LOST, (outcome,)))


def keys(provider: str) -> list[str]:
    """The parts that a provider's dedup keys are made of, lists by their first entry."""
    told = [place for places in incidents(provider).values() for place in places if document(provider, place[0]) is not None]
    return sorted({part for case, number in told for part in identity(provider, case, number)})


def main() -> None:
    if sys.argv[1:] == ["keys"]:
        for provider in providers():
            print(f"{provider:24}{', '.join(keys(provider)) or '(its forms are no JSON)'}")
        return
    found = rows()
    total: Counter[str] = sum((row for _, row in found), Counter())
    print(f"{'':24}" + "".join(f"{column:>12}" for column in COLUMNS))
    for name, row in [*found, ("all", total)]:
        print(f"{name:24}" + "".join(f"{row[column] or '':>12}" for column in COLUMNS))


if __name__ == "__main__":
    main()
