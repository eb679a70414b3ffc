"""Every signature that a vendor made, or that was made as the vendor's page says, opens the shipped file's door; a changed one does not."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from gateway.errors import SecretUnset, Unverified
from gateway.model import Webhook
from gateway.signature import AnySignature
from gateway.stages.verify import Scheme, verify
from gateway.values import Secrets

from . import corpus
from .corpus import expectations, providers, sample, webhook

pytestmark = pytest.mark.skipif(not corpus.CORPUS.is_dir(), reason=f"the corpus of vendors' payloads is not at {corpus.CORPUS}")
VERIFIED = [
    (provider, case) for provider in providers() for case, expected in expectations(provider).items() if expected.get("verify")
]
# What the corpus cannot know, or what its sender set up in another way than most.
SETTINGS = {"CLOUDWATCH_TOPICS": "arn:aws:sns:*:123456789012:*"}
OTHERWISE: dict[tuple[str, str], dict[str, Any]] = {
    ("grafana", "signed-no-timestamp"): {"signed": None, "timestamp": None},
    ("splunk-observability", "signed-sha1-old"): {"algorithm": "sha1"},
}


class Door:
    """What stands between a case and its provider's file."""

    def __init__(self, provider: str, case: str) -> None:
        stored = sample(provider, case)
        signing = stored.get("signing", {})
        self.secret = expectations(provider)[case].get("secret") or stored.get("test_secret") or signing.get("secret", "")
        self.now = float(stored.get("verify_at") or signing.get("timestamp") or 1_790_504_100)
        self.published = {}
        self.scheme: Any = corpus.config().providers[provider].auth
        self.sent = webhook(provider, case)
        if "certificate_pem" in signing:
            issuer = x509.load_pem_x509_certificate(signing["certificate_pem"].encode()).issuer
            organization = issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
            self.scheme = replace(self.spoken(), issuer=organization, versions=(1, 2))
            self.published = {stored["body"]["SigningCertURL"]: signing["certificate_pem"]}
        if (provider, case) in OTHERWISE:
            self.scheme = _otherwise(self.spoken(), OTHERWISE[provider, case])

    def spoken(self) -> Any:
        """The scheme that decides about this case."""
        secrets, scheme = self.secrets(), self.scheme
        while hasattr(scheme, "of"):
            scheme = next(each for each in scheme.of if each.ready(secrets) and each.speaks(self.sent, secrets))
        return scheme

    def secrets(self, value: str | None = None) -> Secrets:
        """The secret, or another one, under every name that the file has for it."""
        names = [reference.env for reference in self.scheme.references()]
        return Secrets(dict.fromkeys(names, self.secret if value is None else value) | SETTINGS)

    def opens(self, sent: Webhook, secrets: Secrets | None = None, now: float | None = None) -> bool:
        """Whether it lets this in."""
        try:
            verify(self.scheme, sent, secrets or self.secrets(), self.now if now is None else now, self.published)
        except (Unverified, SecretUnset):
            return False
        return True


def _otherwise(scheme: Any, keys: dict[str, Any]) -> Scheme:
    kept = {name: getattr(scheme, name) for name in scheme.__struct_fields__ if name not in keys}
    return type(scheme)(**kept, **{name: value for name, value in keys.items() if value is not None})


def mutations(door: Door) -> Iterator[tuple[str, Webhook]]:
    """The same webhook, changed in one thing."""
    sent, scheme = door.sent, door.spoken()
    if not isinstance(scheme, AnySignature):
        return
    for at in {0, len(sent.body) // 2, len(sent.body) - 1} if sent.body else ():
        flipped = sent.body[:at] + bytes([sent.body[at] ^ 1]) + sent.body[at + 1 :]
        yield f"a bit of byte {at}", replace(sent, body=flipped)
    yield "a byte more", replace(sent, body=sent.body + b"1")
    name, prefix = _header(scheme, scheme.signature.header, sent), scheme.signature.prefix
    value = sent.headers[name]
    yield "no signature", replace(sent, headers={key: each for key, each in sent.headers.items() if key != name})
    yield "an empty signature", replace(sent, headers=sent.headers | {name: ""})
    yield "two of them", replace(sent, repeated=frozenset({name}))
    yield (
        "another prefix",
        replace(sent, headers=sent.headers | {name: value.replace(prefix, "v9=") if prefix else f"v9={value}"}),
    )
    yield (
        "another encoding",
        replace(sent, headers=sent.headers | {name: re.sub(r"[0-9A-Za-z+/]{27,}=*", _written_otherwise, value)}),
    )
    if scheme.timestamp is not None:
        clock = _header(scheme, scheme.timestamp.header, sent)
        later = re.sub(r"\b\d{10}\b", lambda found: str(int(found[0]) + 1), sent.headers[clock])
        yield "another timestamp", replace(sent, headers=sent.headers | {clock: later})


def _header(scheme: AnySignature, name: str, sent: Webhook) -> str:
    """The name under which a header came."""
    aliases = {own.lower(): other.lower() for own, other in scheme.aliases.items()}
    return name.lower() if name.lower() in sent.headers else aliases[name.lower()]


def _written_otherwise(found: re.Match[str]) -> str:
    text = found[0]
    if re.fullmatch(r"([0-9a-fA-F]{2}){20,}", text):
        return base64.b64encode(bytes.fromhex(text)).decode()
    return base64.b64decode(text + "=" * (-len(text) % 4)).hex()


@pytest.mark.parametrize("provider, case", VERIFIED)
def test_a_vendors_proof_opens_the_door(provider, case):
    door = Door(provider, case)
    assert door.opens(door.sent)


@pytest.mark.parametrize("provider, case", VERIFIED)
def test_a_changed_one_does_not(provider, case):
    door = Door(provider, case)
    let_in = [what for what, sent in mutations(door) if door.opens(sent)]
    assert let_in == []
    if not door.published:
        near = door.secret[:10] + ("A" if door.secret[10] != "A" else "B") + door.secret[11:]
        assert [door.opens(door.sent, door.secrets(value)) for value in ("", " ", "another-secret", near)] == [False] * 4
    clock = getattr(door.spoken(), "timestamp", None)
    if clock is not None:
        assert [door.opens(door.sent, now=door.now + seconds * (clock.tolerance * 2 + 1)) for seconds in (-1, 1)] == [
            False,
            False,
        ]


@pytest.mark.parametrize(
    "provider, case",
    [(p, c) for p in providers() for c, expected in expectations(p).items() if expected["outcome"] == "refused"],
)
def test_what_must_be_refused_is(provider, case):
    door = Door(provider, case)
    assert not door.opens(door.sent)
