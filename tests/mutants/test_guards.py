"""Every guard on the list stands where the list says: `make mutants` takes minutes, this finds an old list at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .guards import MUTANTS

GATEWAY = Path(__file__).parents[2] / "gateway"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_guard_stands_where_the_list_says(mutant):
    assert (GATEWAY / mutant.file).read_text().count(mutant.guard) == 1, f"{mutant.name}: tests/mutants/guards.py is out of date"


def test_no_two_have_one_name():
    names = [mutant.name for mutant in MUTANTS]
    assert sorted(names) == sorted(set(names))
