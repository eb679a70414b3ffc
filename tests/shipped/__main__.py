"""`python -m tests.shipped`: what becomes of the vendors' webhooks, provider by provider."""

from __future__ import annotations

from collections import Counter

from .corpus import LOST, QUIET, came, expectations, providers

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


def main() -> None:
    found = rows()
    total: Counter[str] = sum((row for _, row in found), Counter())
    print(f"{'':24}" + "".join(f"{column:>12}" for column in COLUMNS))
    for name, row in [*found, ("all", total)]:
        print(f"{name:24}" + "".join(f"{row[column] or '':>12}" for column in COLUMNS))


if __name__ == "__main__":
    main()
