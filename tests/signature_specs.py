"""What vendors' signatures look like as specs, each from the vendor's own page, and how a test judges with one."""

from __future__ import annotations

from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.errors import SecretUnset, Unverified
from gateway.signature import Signature, Signed
from gateway.values import Secrets

GITHUB = 'signature: { header: X-Hub-Signature-256, prefix: "sha256=" }'
SLACK = """
signed: "v0:{{ timestamp }}:{{ body }}"
timestamp: { header: X-Slack-Request-Timestamp, tolerance: 5m }
signature: { header: X-Slack-Signature, prefix: "v0=" }
"""
STANDARD = """
secret: { env: SECRET, prefix: whsec_, decode: base64 }
encoding: base64
signed: "{{ headers['webhook-id'] }}.{{ timestamp }}.{{ body }}"
timestamp: { header: webhook-timestamp, tolerance: 5m }
signature: { header: webhook-signature, split: " ", prefix: "v1," }
aliases: { Webhook-Id: svix-id, webhook-timestamp: svix-timestamp, webhook-signature: SVIX-Signature }
"""
STRIPE = """
signed: "{{ timestamp }}.{{ body }}"
timestamp: { header: Stripe-Signature, split: ",", prefix: "t=", tolerance: 5m }
signature: { header: Stripe-Signature, split: ",", prefix: "v1=" }
"""
ROOTLY = STRIPE.replace("}}.{{", "}}{{").replace("Stripe", "X-Rootly")
SFX = "encoding: base64\nsignature: { header: X-SFX-Signature }"
ONCALL = 'algorithm: sha1\nencoding: base64\nsigned: "{{ url }}{{ form | sorted_pairs }}"\nsignature: { header: X-VictorOps-Signature }'
GRAFANA = "signature: { header: X-Grafana-Alerting-Signature }"
GRAFANA_TIMED = GRAFANA + '\nsigned: "{{ timestamp }}:{{ body }}"\ntimestamp: { header: X-Grafana-Alerting-Timestamp }'
SENTRY = "signature: { header: Sentry-Hook-Signature }\naliases: { Sentry-Hook-Signature: Sentry-App-Signature }"
PAGERDUTY = 'signature: { header: X-PagerDuty-Signature, split: ",", prefix: "v1=" }'
GITHUB_OLD = 'algorithm: sha1\nsignature: { header: X-Hub-Signature, prefix: "sha1=" }'
BITBUCKET = 'signature: { header: X-Hub-Signature, prefix: "sha256=" }'
GITGUARDIAN = GRAFANA + '\nkey: "{{ timestamp }}{{ secret }}"\ntimestamp: { header: Timestamp }'

NOW = 1_715_000_000
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOT_FIT = "{} does not fit what was sent and the secret"


def read(text: str) -> Signature:
    document = Document("a.yaml", text if "secret:" in text else f"secret: {{ env: SECRET }}\n{text}")
    spec = decode(document, Signature)
    assert spec, document.problems
    return spec


def verdict(text: str, signed: Signed, *secrets: str, now: float = NOW) -> str:
    """Empty where it verifies; else the whole message."""
    environment = dict(zip(("SECRET", "OLD"), secrets, strict=False))
    said = ""
    try:
        read(text).verify(signed, Secrets(environment), now)
    except (Unverified, SecretUnset) as error:
        said = str(error)
    assert not any(secret in said for secret in secrets if secret not in ("", "whsec_"))
    return said


def sent(body: bytes, headers: dict[str, str], **more) -> Signed:
    return Signed(body, headers={name.lower(): value for name, value in headers.items()}, **more)
