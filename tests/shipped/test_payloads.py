"""
Every webhook in the corpus means what was written down from the facts, before the mappings were, by somebody who has not seen them.

The corpus is not ours to commit: it lies in `../shared/payloads`. Absent, these tests say so and are skipped; with CORPUS=required
they fail.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import yaml

from gateway.config import load
from gateway.errors import StageError, Unverified
from gateway.model import Webhook
from gateway.reading import understand
from gateway.stages.verify import verify
from gateway.values import Secrets

CORPUS = Path(__file__).parents[3] / "shared" / "payloads"
EXPECTATIONS = Path(__file__).parent / "expectations"
CONFIG = load(None, {})

if not CORPUS.is_dir():
    if os.environ.get("CORPUS") == "required":
        pytest.fail(f"the corpus is not at {CORPUS}")
    pytest.skip(f"the corpus of vendors' payloads is not at {CORPUS}", allow_module_level=True)


def expectations(provider: str) -> dict:
    return yaml.safe_load((EXPECTATIONS / f"{provider}.yaml").read_text())["cases"]


PROVIDERS = sorted(file.stem for file in EXPECTATIONS.glob("*.yaml"))
CASES = [(provider, case) for provider in PROVIDERS for case in expectations(provider)]


def webhook(provider: str, case: str) -> Webhook:
    sample = json.loads((CORPUS / provider / f"{case}.json").read_text())
    body = sample["body_text"] if "body_text" in sample else json.dumps(sample["body"], ensure_ascii=False)
    return Webhook(
        id="0198c000-0000-7000-8000-000000000000",
        provider=provider,
        received_at=datetime(2026, 1, 1, tzinfo=UTC),
        body=body.encode(),
        method=sample.get("method", "POST"),
        headers={name.lower(): value for name, value in sample["headers"].items()},
        query=sample.get("query", {}),
    )


@cache
def came(provider: str, case: str) -> tuple[str, tuple]:
    """What came of a case: its outcome, and its events."""
    try:
        understood = understand(CONFIG.providers[provider], webhook(provider, case))
    except StageError as error:
        return "unreadable", (str(error),)
    if understood.dead:
        return "dead letter", tuple(dead.message for dead in understood.dead)
    if understood.handshake is not None:
        return "handshake", ()
    return ("events" if understood.events else "ignored"), tuple(understood.events)


QUIET = ("ping", "handshake", "ignored")  # three words for one thing: it is answered with a success, and tells of nothing


def test_every_case_of_the_corpus_has_an_expectation():
    assert sorted(PROVIDERS) == sorted(CONFIG.providers)
    for provider in PROVIDERS:
        assert sorted(expectations(provider)) == sorted(file.stem for file in (CORPUS / provider).glob("*.json")), provider


@pytest.mark.parametrize("provider, case", CASES)
def test_a_case_means_what_was_written_down(provider, case):
    expected = expectations(provider)[case]
    outcome, events = came(provider, case)
    if expected["outcome"] == "refused":
        return  # what its signature must be refused for is tested with its scheme
    assert outcome in (QUIET if expected["outcome"] in QUIET else (expected["outcome"],)), events
    wanted = expected.get("events") or []
    if outcome == "events":
        assert [(event.action, event.severity) for event in events] == [(want["action"], want["severity"]) for want in wanted]
        for event, want in zip(events, wanted, strict=True):
            assert want.get("summary_contains", "") in event.summary


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_one_incident_shares_a_key_and_what_is_not_does_not(provider):
    keys: dict[str, set[str]] = {}
    for case, expected in expectations(provider).items():
        _, events = came(provider, case)
        for event, want in zip(events, expected.get("events") or [], strict=False):
            if want["action"] != "notice":
                keys.setdefault(want["group"], set()).add(event.dedup_key)
    assert {group: len(found) for group, found in keys.items()} == dict.fromkeys(keys, 1), keys
    assert len(set.union(*keys.values())) == len(keys), keys


SIGNED = [(provider, case) for provider, case in CASES if expectations(provider)[case].get("verify") and provider != "cloudwatch"]


@pytest.mark.parametrize("provider, case", SIGNED)
def test_a_vendors_signature_verifies_and_one_changed_byte_does_not(provider, case):
    sample = json.loads((CORPUS / provider / f"{case}.json").read_text())
    secret = sample.get("test_secret") or sample["signing"]["secret"]
    now = float(sample.get("verify_at") or sample.get("signing", {}).get("timestamp") or 1715000000)
    sent, scheme = webhook(provider, case), _signing(CONFIG.providers[provider].auth, case)
    secrets = Secrets(dict.fromkeys((reference.env for reference in scheme.references()), secret))
    verify(scheme, sent, secrets, now)
    changed = Webhook(**{name: getattr(sent, name) for name in sent.__struct_fields__} | {"body": sent.body + b" "})
    with pytest.raises(Unverified):
        verify(scheme, changed, secrets, now)


def _signing(scheme, case):
    """The hmac scheme of a file that offers several; Grafana signs without a timestamp where none is configured."""
    hmac = next((each for each in getattr(scheme, "of", [scheme]) if hasattr(each, "signature")), scheme)
    if "no-timestamp" in case:
        return type(hmac)(secret=hmac.secret, signature=hmac.signature)
    return hmac
