"""The shipped files sign as the specs do that vendors' own SDKs prove, in both directions (tests/test_signature.py)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.signature import ByteTemplate, Signature
from gateway.stages.verify import Hmac
from tests.signature_specs import SLACK, STANDARD, STRIPE

from . import corpus


def said(spec: Any) -> dict[str, Any]:
    """What a spec says, whatever its secret is called; headers know no capitals."""
    found = {name: getattr(spec, name) for name in Signature.__struct_fields__}
    secret = found.pop("secret")
    for name, value in found.items():
        if isinstance(value, ByteTemplate):
            found[name] = value.text.lower()
        elif hasattr(value, "header"):
            found[name] = (value.header.lower(), value.split, value.prefix, getattr(value, "tolerance", None))
    found["aliases"] = {own.lower(): other.lower() for own, other in found["aliases"].items()}
    return found | {"decoded": (secret.prefix, secret.decode)}


def hmacs(scheme: Any) -> list[Any]:
    """The signatures among a file's schemes."""
    return [each for one in getattr(scheme, "of", [scheme]) for each in ([one] if isinstance(one, Hmac) else [])]


@pytest.mark.parametrize("provider, proven", [("stripe", STRIPE), ("slack", SLACK), ("standard-webhooks", STANDARD)])
def test_a_shipped_file_signs_as_a_spec_that_its_vendors_sdk_proves(provider, proven):
    spec = decode(Document("a.yaml", f"secret: {{ env: SECRET }}\n{proven}" if "secret:" not in proven else proven), Signature)
    assert spec is not None
    assert said(spec) in [said(scheme) for scheme in hmacs(corpus.config().providers[provider].auth)]
