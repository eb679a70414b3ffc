"""The table of what a sink may do to us (sink_faults.py), row by row: what was tried, what was lost (nothing), what came twice."""

from __future__ import annotations

import pytest

from .sink_faults import FAULTS, Row, table

# Fault, requests, tries of each event, how the three ended, how many the sink took; none of them twice.
EXPECTED = {
    "none": (3, "1", "3 delivered", 3),
    "down": (0, "3", "3 dead", 0),
    "slow: 0.4 s": (3, "1", "3 delivered", 3),
    "hanging": (9, "3", "3 dead", 0),
    "hanging, retry.unknown: dead": (3, "1", "3 dead", 0),
    "dripping": (9, "3", "3 dead", 0),
    "resetting": (9, "3", "3 dead", 0),
    "TLS: nobody we know": (0, "3", "3 dead", 0),
    "429, Retry-After: 1": (6, "2", "3 delivered", 3),
    "429 without": (6, "2", "3 delivered", 3),
    "503 once": (6, "2", "3 delivered", 3),
    "500 for ever": (9, "3", "3 dead", 0),
    "401": (3, "1", "3 parked", 0),
    "400": (3, "1", "3 dead", 0),
    "302": (3, "1", "3 dead", 0),
    "no HTTP": (9, "3", "3 dead", 0),
    "200 with garbage": (3, "1", "3 delivered", 3),
    "a batch, in part": (2, "1 1 2", "1 dead, 2 delivered", 2),
    "a batch with a poison": (5, "1", "1 dead, 2 delivered", 2),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    return {row.fault: row for row in table(tmp_path_factory.mktemp("faults"))}


def test_every_fault_has_a_row() -> None:
    assert [fault.name for fault in FAULTS] == list(EXPECTED)


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_ends_as_the_contract_has_it(rows: dict[str, Row], fault: str) -> None:
    row = rows[fault]
    assert (row.requests, row.tries, row.states, row.taken) == EXPECTED[fault], row
    assert row.doubled == 0, row


def test_the_waits_are_those_of_the_file_and_of_the_answer(rows: dict[str, Row]) -> None:
    least, most = (float(word) for word in rows["429, Retry-After: 1"].waits.removesuffix(" s").split("-"))
    assert least >= 1.0
    for fault in ("down", "500 for ever", "no HTTP"):  # half of 200 ms at least
        least, most = (float(word) for word in rows[fault].waits.removesuffix(" s").split("-"))
        assert 0.1 <= least <= most, rows[fault]
