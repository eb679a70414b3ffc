"""
What other tools' documents print for their outbound webhooks: examples/seeds sends it, header by header and value by value.

The texts are those of the seed 003 ("Webhook Integration Guide") and 004 ("Verify the signature"); only the product's name is the
event's source here, and a number of theirs is wrong: 1730217600 is a year before the time beside it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import anyio
import httpx2
import pytest
from trips import delivery, outcome, unheard

from gateway.config import load
from gateway.courier import bring
from gateway.outbound import Client

ROOT = Path(__file__).parents[2]
NOON = "2025-10-29T12:00:00Z"
DATA = {
    "file_id": "abc123",
    "file_name": "sensitive.pdf",
    "owner": "user@example.com",
    "shared_with": "external@partner.com",
}
JSON = {"timestamp": NOON, "source": "vaulytica", "event_type": "file_shared_externally", "severity": "warning", "data": DATA}
API = "https://api.example.com/events"
SECRETS = {
    "SIEM_URL": API,
    "SIEM_API_KEY": "your-api-key-here",
    "SIEM_BEARER_TOKEN": "your-bearer-token-here",
    "SIEM_USERNAME": "your-username",
    "SIEM_PASSWORD": "your-password",
    "SIEM_HMAC_SECRET": "your-secret-key",
    "SIEM_TOKEN_URL": "https://auth.example.com/oauth/token",
    "SIEM_CLIENT_ID": "your-client-id",
    "SIEM_CLIENT_SECRET": "your-client-secret",
    "SIEM_SPLUNK_URL": "https://splunk.example.com:8088",
    "SIEM_SPLUNK_TOKEN": "your-hec-token",
    "SIEM_DATADOG_URL": "https://api.datadoghq.com",
    "SIEM_DATADOG_API_KEY": "your-api-key",
    "SIEM_ELASTIC_URL": "https://elasticsearch.example.com:9200",
    "SIEM_TEMPLATE_URL": "https://api.example.com/alerts",
    "SIEM_FUNCTION_URL": "https://api.example.com/alerts",
    "WEBHOOK_TIMESTAMPED_URL": API,
    "WEBHOOK_TIMESTAMPED_SECRET": "your-secret-key",
}


def shared(number=1, **changes):
    """The documents' event."""
    event = {"type": "file_shared_externally", "severity": "warning", "source": "vaulytica", "occurred_at": NOON, "details": DATA}
    return delivery(number, **event | changes)


def requests_of(sink, *deliveries, root=ROOT / "examples/seeds", answer=None):
    """What a sink of the configuration sends for these, all of which it delivers."""
    config, seen = load(root, SECRETS), []
    assert sink in config.sinks, config.off

    def receive(request):
        seen.append(request)
        return answer(request) if answer is not None else httpx2.Response(200)

    async def go():
        client = Client(httpx2.MockTransport(receive))
        try:
            return await bring(config, client, sink, deliveries, lambda: 1_761_739_200.0, lambda: 0.5, say=unheard)
        finally:
            await client.close()

    assert {state for state, _ in outcome(anyio.run(go))} == {"delivered"}
    return seen


def sent(request):
    """A request's method, address, the headers that say something, and body."""
    ours = {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
        "content-length",
        "idempotency-key",
        "x-gateway-hops",
    }
    headers = {name: value for name, value in request.headers.items() if name not in ours}
    return request.method, str(request.url), headers, json.loads(request.content)


BASIC = base64.b64encode(b"your-username:your-password").decode()


@pytest.mark.parametrize(
    "section, sink, header",
    [
        ("Authentication 1. API Key", "siem-json", ("x-api-key", "your-api-key-here")),
        ("Authentication 2. Bearer Token", "siem-bearer", ("authorization", "Bearer your-bearer-token-here")),
        ("Authentication 3. Basic", "siem-basic", ("authorization", f"Basic {BASIC}")),
    ],
)
def test_who_we_are_stands_in_a_header(section, sink, header):
    (request,) = requests_of(sink, shared())
    assert sent(request) == ("POST", API, {"content-type": "application/json", header[0]: header[1]}, JSON), section


def verify_signature(payload: dict, signature: str, secret: str) -> bool:
    """Seed 003, Authentication 4: the receiver's own check."""
    payload_str = json.dumps(payload, sort_keys=True)
    expected_signature = hmac.new(secret.encode(), payload_str.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(signature, expected_signature)


def test_authentication_4_hmac_sha256_signature():
    (request,) = requests_of("siem-signed", shared(details=DATA | {"größe": 'ä "x"', "rows": 12345678901234567890}))
    method, url, headers, body = sent(request)
    assert (method, url, sorted(headers)) == ("POST", API, ["content-type", "x-signature"])
    assert verify_signature(body, headers["x-signature"], "your-secret-key")
    assert not verify_signature(body | {"severity": "info"}, headers["x-signature"], "your-secret-key")
    assert not verify_signature(body, headers["x-signature"], "another-key")


def test_authentication_5_oauth2_client_credentials_with_its_token_cached():
    def answer(request):
        token = {"access_token": "tok-1", "token_type": "Bearer", "expires_in": 3600}
        return httpx2.Response(200, json=token if request.url.host == "auth.example.com" else {})

    asked, *told = requests_of("siem-oauth2", shared(1), shared(2), answer=answer)
    client = base64.b64encode(b"your-client-id:your-client-secret").decode()
    assert (asked.method, str(asked.url), asked.content) == (
        "POST",
        "https://auth.example.com/oauth/token",
        b"grant_type=client_credentials",
    )
    assert asked.headers["authorization"] == f"Basic {client}"
    headers = {"content-type": "application/json", "authorization": "Bearer tok-1"}
    assert [sent(request) for request in told] == [("POST", API, headers, JSON)] * 2


TYPED = {"content-type": "application/json"}
PAYLOAD_FORMATS = {
    "1. Generic JSON": ("siem-json", API, {"x-api-key": "your-api-key-here"}, JSON),
    "2. Splunk HEC": (
        "siem-splunk",
        "https://splunk.example.com:8088/services/collector/event",
        {"authorization": "Splunk your-hec-token"},
        {
            "time": 1761739200,
            "host": "vaulytica",
            "source": "vaulytica",
            "sourcetype": "vaulytica:file_shared_externally",
            "event": {"event_type": "file_shared_externally", "severity": "warning", "timestamp": NOON, **DATA},
        },
    ),
    "3. Datadog": (
        "siem-datadog",
        "https://api.datadoghq.com/api/v1/events",
        {"dd-api-key": "your-api-key"},
        {
            "title": "Vaulytica: file_shared_externally",
            "text": '{\n  "file_id": "abc123",\n  "file_name": "sensitive.pdf"\n}',
            "alert_type": "warning",
            "source_type_name": "vaulytica",
            "tags": ["event_type:file_shared_externally", "severity:warning", "source:vaulytica"],
            "date_happened": 1761739200,
        },
    ),
    "4. Elasticsearch": (
        "siem-elastic",
        "https://elasticsearch.example.com:9200/vaulytica/_doc",
        {},
        {
            "@timestamp": NOON,
            "event": {"kind": "alert", "category": ["security"], "type": ["file_shared_externally"], "severity": 2},
            "observer": {"name": "vaulytica", "type": "security_scanner"},
            "message": "Vaulytica event: file_shared_externally",
            "vaulytica": DATA,
        },
    ),
    "5. Custom Template (Jinja2)": (
        "siem-template",
        "https://api.example.com/alerts",
        {},
        {
            "alert": {
                "type": "file_shared_externally",
                "level": "warning",
                "time": NOON,
                "details": {"file": "sensitive.pdf", "owner": "user@example.com", "recipient": "external@partner.com"},
            }
        },
    ),
}


@pytest.mark.parametrize("section", PAYLOAD_FORMATS)
def test_payload_formats(section):
    sink, url, headers, body = PAYLOAD_FORMATS[section]
    data = {"file_id": "abc123", "file_name": "sensitive.pdf"} if section == "3. Datadog" else DATA  # as the document prints it
    (request,) = requests_of(sink, shared(details=data))
    assert sent(request) == ("POST", url, TYPED | headers, body)


FORMATTER = """
def custom_formatter(context):
    event = context["event"]
    return {
        "alert_type": event["type"],
        "alert_severity": event["severity"],
        "alert_timestamp": event["occurred_at"],
        "alert_data": event["details"],
        "alert_source": "vaulytica",
    }
"""


def test_payload_formats_6_custom_template_python_function(tmp_path, monkeypatch):
    (tmp_path / "formats_of_ours.py").write_text(FORMATTER)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "gateway.yaml").write_text("catalogue: false\nfunctions: true\n")
    (tmp_path / "sinks.d").mkdir()
    (tmp_path / "sinks.d/ours.yaml").write_text(
        "title: Ours\nvars: { url: { env: SIEM_FUNCTION_URL } }\n"
        'request: { url: "{{ vars.url }}", function: "formats_of_ours:custom_formatter" }\n'
    )
    (request,) = requests_of("ours", shared(), root=tmp_path)
    body = {
        "alert_type": "file_shared_externally",
        "alert_severity": "warning",
        "alert_timestamp": NOON,
        "alert_data": DATA,
        "alert_source": "vaulytica",
    }
    assert sent(request) == ("POST", "https://api.example.com/alerts", TYPED, body)


def test_batch_sending():
    events = [
        ("file_shared_externally", {"file_id": "abc123", "file_name": "doc1.pdf"}, "warning"),
        ("file_shared_externally", {"file_id": "def456", "file_name": "doc2.pdf"}, "warning"),
        ("pii_detected", {"file_id": "ghi789", "pii_types": ["ssn", "email"]}, "critical"),
    ]
    told = [shared(n, type=kind, details=data, severity=severity) for n, (kind, data, severity) in enumerate(events)]
    (request,) = requests_of("siem-batch", *told)
    body = [JSON | {"event_type": kind, "data": data, "severity": severity} for kind, data, severity in events]
    assert sent(request) == ("POST", API, TYPED | {"x-api-key": "your-api-key-here"}, body)


def test_the_four_headers_of_seed_004_and_its_verification():
    (request,) = requests_of("webhook-timestamped", shared(type="request_submitted"))
    headers, secret, raw_body = request.headers, "your-secret-key", request.content.decode()
    timestamp, signature_header = headers["X-Webhook-Timestamp"], headers["X-Webhook-Signature"]
    expected = hmac.new(secret.encode(), f"{timestamp}.{raw_body}".encode(), hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, signature_header)
    assert (timestamp, headers["X-Webhook-Event"], headers["X-Webhook-Event-Id"]) == ("1761739200", "request_submitted", "e1")


SIEM = "title: SIEM\nvars: { url: { env: SIEM_URL } }\nrequest: { url: '{{ vars.url }}', json: $.details }\n"
CONFIGURATIONS = {
    "Example 1: Splunk with API Key": "auth: { scheme: api_key, header: Authorization, key: { env: SIEM_SPLUNK_TOKEN } }\n"
    "retry: { attempts: 6, first_delay: 2s, max_delay: 120s }\nlimits: { timeout: 30s }\ntls: { verify: true }\n",
    "Example 2: Custom Endpoint with HMAC": "sign: { secret: { env: SIEM_HMAC_SECRET }, signature: { header: X-Signature } }\n"
    "retry: { attempts: 4, first_delay: 1s }\n",
    "Best Practices 1: for critical events": "retry: { attempts: 11, first_delay: 500ms, max_delay: 300s }\n",
    "Troubleshooting: Webhook Timeouts": "limits: { timeout: 60s }\nretry: { attempts: 6, first_delay: 5s }\n",
    "Troubleshooting: SSL Certificate Errors": "tls: { verify: false }\n",
}


@pytest.mark.parametrize("section", CONFIGURATIONS)
def test_configuration_examples(section, tmp_path):
    (tmp_path / "sinks.d").mkdir()
    (tmp_path / "sinks.d/siem.yaml").write_text(SIEM + CONFIGURATIONS[section])
    (tmp_path / "gateway.yaml").write_text("catalogue: false\n")
    (request,) = requests_of("siem", shared(), root=tmp_path)
    method, url, headers, body = sent(request)
    assert (method, url, body) == ("POST", API, DATA)
    signature = hmac.new(b"your-secret-key", request.content, hashlib.sha256).hexdigest()
    more = {"Example 1": {"authorization": "your-hec-token"}, "Example 2": {"x-signature": signature}}
    assert headers == TYPED | more.get(section.partition(":")[0], {})
    sink = load(tmp_path, SECRETS).sinks["siem"]
    assert load(tmp_path, SECRETS).unverified == (["siem"] if "SSL" in section else [])
    delays = {
        "Example 1": (6, 2.0, 120.0, 30.0),
        "Example 2": (4, 1.0, 900.0, 10.0),
        "Best Practices 1": (11, 0.5, 300.0, 10.0),
        "Troubleshooting: Webhook Timeouts": (6, 5.0, 900.0, 60.0),
        "Troubleshooting: SSL Certificate Errors": (8, 5.0, 900.0, 10.0),
    }
    wanted = delays.get(section) or delays[section.partition(":")[0]]
    assert (sink.retry.attempts, sink.retry.first_delay, sink.retry.max_delay, sink.limits.timeout) == wanted
