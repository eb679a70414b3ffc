"""
Every HMAC that a vendor has published, or that was made as its page says, holds; and no change to it does.

The corpus is not ours to commit: it lies in `../shared/payloads`. Absent, these tests say so and are skipped; with CI=true they fail.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from signature_specs import (
    BITBUCKET,
    GITHUB,
    GITHUB_OLD,
    GRAFANA,
    GRAFANA_TIMED,
    NOT_FIT,
    NOW,
    ONCALL,
    PAGERDUTY,
    ROOTLY,
    SENTRY,
    SFX,
    SLACK,
    STANDARD,
    STRIPE,
    read,
    sent,
    verdict,
)

from gateway.signature import Signature, Signed

CORPUS = Path(__file__).parents[2] / "shared" / "payloads"
if not CORPUS.is_dir():
    if os.environ.get("CI") == "true":
        pytest.fail(f"the corpus is not at {CORPUS}")
    pytest.skip(f"the corpus of vendors' payloads is not at {CORPUS}", allow_module_level=True)

VECTORS = {
    "github/signed-docs-vector": [GITHUB],
    "github/signed-ping": [GITHUB, GITHUB_OLD],
    "github/signed-ping-form-encoded": [GITHUB],
    "bitbucket/signed-docs-vector": [BITBUCKET],
    "bitbucket/signed-commit-status-failed": [BITBUCKET],
    "gitlab/signed-signing-token": [STANDARD],
    "gitlab/signed-two-signatures": [STANDARD],
    "grafana/signed-no-timestamp": [GRAFANA],
    "grafana/signed-with-timestamp": [GRAFANA_TIMED],
    "pagerduty/v3_signed_two_secrets": [PAGERDUTY],
    "pagerduty/v3_signed_vector": [PAGERDUTY],
    "sentry/empty_body_app_signature": [SENTRY],
    "sentry/signed_vector": [SENTRY],
    "slack/event_callback": [SLACK],
    "slack/signed_slash_command_vector": [SLACK],
    "slack/stale_timestamp": [SLACK],
    "slack/url_verification": [SLACK],
    "splunk-observability/signed-sha1-old": ["algorithm: sha1\n" + SFX],
    "splunk-observability/signed-sha256": [SFX],
    "splunk-oncall/escalation-webhook-signed": [ONCALL],
    "standard-webhooks/signed_two_keys_and_v1a": [STANDARD],
    "standard-webhooks/signed_vector": [STANDARD],
    "standard-webhooks/stale_timestamp": [STANDARD],
    "standard-webhooks/svix_header_names": [STANDARD],
    "stripe/rootly_same_scheme_no_dot": [ROOTLY],
    "stripe/signed_two_secrets_and_v0": [STRIPE],
    "stripe/signed_vector": [STRIPE],
    "stripe/stale_timestamp": [STRIPE],
}
OTHERS = {
    "cloudwatch": "X.509, the scheme `sns`",
    "statuscake": "a token made by MD5",
    "netdata": "a challenge that the answer signs",
}
STALE = {
    "slack/stale_timestamp": "X-Slack-Request-Timestamp is 360 s old; 300 s are tolerated",
    "standard-webhooks/stale_timestamp": "webhook-timestamp is 600 s old; 300 s are tolerated",
    "stripe/stale_timestamp": "Stripe-Signature is 301 s old; 300 s are tolerated",
}


def vector(case: str) -> tuple[Signed, str, int]:
    data = json.loads((CORPUS / f"{case}.json").read_text())
    signing = data.get("signing", {})
    signed = sent(data["body_text"].encode(), data["headers"], url=signing.get("url", ""))
    return signed, data.get("test_secret") or signing["secret"], data.get("verify_at") or signing.get("timestamp", NOW)


def flipped(text: str, at: int) -> str:
    """Another digit of the same kind in that place."""
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def mutations(text: str, signed: Signed, now: int) -> dict[str, tuple[Signed, float, str]]:
    """What is sent instead, when it is looked at, and what must be said of it."""
    spec = read(text)
    name, prefix, split = spec.signature.header, spec.signature.prefix, spec.signature.split
    key = next(each for each in (name.lower(), "svix-signature", "sentry-app-signature") if each in signed.headers)
    value, wrong = signed.headers[key], NOT_FIT.format(name)
    digests = [part.removeprefix(prefix) for part in (value.split(split) if split else [value]) if part.startswith(prefix)]

    def but(change: Callable[[str], str], *, at: float = now, says: str = wrong) -> tuple[Signed, float, str]:
        changed = value
        for digest in digests:
            changed = changed.replace(prefix + digest, change(prefix + digest) if prefix else change(digest))
        return replace(signed, headers=dict(signed.headers) | {key: changed}), at, says

    def recoded(given: str) -> str:
        digest = given.removeprefix(prefix)
        other = base64.b64encode(bytes.fromhex(digest)) if spec.encoding == "hex" else binascii.hexlify(base64.b64decode(digest))
        return prefix + other.decode()

    body = bytes([signed.body[0] ^ 1]) + signed.body[1:] if signed.body else b"\0"
    found = {
        "one bit of the body": (replace(signed, body=body), now, wrong),
        "the header is absent": (
            replace(signed, headers={k: v for k, v in signed.headers.items() if k != key}),
            now,
            f"there is no {name}",
        ),
        "the header is empty": (replace(signed, headers=dict(signed.headers) | {key: ""}), now, f"{name} is empty"),
        "the header came twice": (replace(signed, repeated=frozenset({key})), now, f"{name} came more than once"),
        "one digit of the signature": but(lambda given: flipped(given, len(given) - 5)),
        "half of the signature": but(lambda given: given[: len(given) // 2 + 1]),
        "nothing behind the prefix": but(lambda given: prefix or "v1="),
        "another encoding": but(recoded),
        "a space inside": but(lambda given: given[:-9] + " " + given[-9:]),
        "not ASCII": but(lambda given: given[:-1] + "\xe9"),
        "not even latin-1": but(lambda given: given[:-1] + "\u2603"),
        "upper case": but(
            lambda given: prefix + given.removeprefix(prefix).swapcase(), says="" if spec.encoding == "hex" else wrong
        ),
    }
    if prefix:
        found["another prefix"] = but(
            lambda given: "x9=" + given.removeprefix(prefix), says=f"{name} has no value that begins with {prefix}"
        )
    if spec.timestamp:
        clock, stamp = spec.timestamp.header, now_of(spec, signed)
        found |= {
            "just not too old": (signed, stamp + 300, ""),
            "a second too old": (signed, stamp + 301, f"{clock} is 301 s old; 300 s are tolerated"),
            "a little too old": (signed, stamp + 300.25, f"{clock} is 301 s old; 300 s are tolerated"),
            "just not too far ahead": (signed, stamp - 300, ""),
            "too far ahead": (signed, stamp - 301, f"{clock} is 301 s in the future; 300 s are tolerated"),
        }
    return found


def now_of(spec: Signature, signed: Signed) -> int:
    assert spec.timestamp
    named = spec.timestamp.header.lower()
    header = signed.headers.get(named) or signed.headers["svix-timestamp"]
    found = re.search(r"\d{10}", header)
    assert found
    return int(found[0])


def test_every_published_signature_is_in_the_table_or_is_no_hmac():
    found = {
        f"{file.parent.name}/{file.stem}"
        for file in CORPUS.glob("*/*.json")
        if {"signing", "test_secret"} & set(json.loads(file.read_text()))
    }
    assert {case for case in found if case.partition("/")[0] not in OTHERS} == set(VECTORS)


@pytest.mark.parametrize("case", VECTORS)
def test_a_published_signature_holds_and_no_change_to_it_does(case):
    for spec in VECTORS[case]:
        signed, secret, now = vector(case)
        assert verdict(spec, signed, secret, now=now) == STALE.get(case, "")
        if case in STALE:
            continue
        changed = mutations(spec, signed, now)
        got = {what: verdict(spec, sent_instead, secret, now=at) for what, (sent_instead, at, _) in changed.items()}
        assert got == {what: says for what, (_, _, says) in changed.items()}
        assert verdict(spec, signed, "another secret" if "whsec_" not in secret else "whsec_AAAA", now=now) == NOT_FIT.format(
            read(spec).signature.header
        )
        assert verdict(spec, signed, "", now=now) == "SECRET is not set"
