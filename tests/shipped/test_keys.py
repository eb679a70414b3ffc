"""Trigger, acknowledge and resolve of one incident share a dedup key, whatever else differs between them."""

from __future__ import annotations

import pytest

from . import corpus
from .variations import broken, incidents, pairs

pytestmark = pytest.mark.skipif(not corpus.CORPUS.is_dir(), reason=f"the corpus of vendors' payloads is not at {corpus.CORPUS}")
PROVIDERS = corpus.providers()
# What one form of message has and another has not, both of which name the incident.
ELSEWHERE = {"posthog": ["$.event.properties.$exception_issue_id"]}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_one_incident_shares_a_key_and_what_is_not_does_not(provider):
    keys = {
        group: {corpus.came(provider, case).events[number].dedup_key for case, number in places}
        for group, places in incidents(provider).items()
    }
    assert {group: len(found) for group, found in keys.items()} == dict.fromkeys(keys, 1), keys
    assert len(set().union(*keys.values())) == len(keys), keys


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_incident_stays_the_same_whatever_differs_between_what_is_said_of_it(provider):
    found = {
        f"{case} with what {other} says": parts
        for case, other, number, _ in pairs(provider)
        if (parts := broken(provider, case, other, number)) and parts != ELSEWHERE.get(provider)
    }
    assert found == {}
