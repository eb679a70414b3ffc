"""
What is fuzzed: everything that reads what a stranger wrote. A target takes bytes; only the errors that it names may leave it, and what
made any other leave stands in `found/` from then on, where the tests try it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.config.decode import decode as decode_config
from gateway.config.schema import Provider, Sink
from gateway.config.yaml import Document
from gateway.errors import Undecodable, Unmappable, Unverified
from gateway.expr import ExpressionError, Inbound, Path, to_time
from gateway.model import Response, Webhook
from gateway.signature import Signature, Signed
from gateway.stages.decode import Decoding, decode
from gateway.stages.deliver import Answers, judge
from gateway.values import Duration, Network, Pattern, Rate, Secrets, Size

NOW = 1_715_000_000.0
SCOPE = {"item": {"a": {"b": [1, "x", None]}, "t": "text", "n": 7}, "payload": {"t": "x"}, "headers": {"x-a": "1"}, "query": {}}
SECRETS = Secrets({"SECRET": "fuzzed-secret"})


def _spec(text: str) -> Signature:
    found = decode_config(Document("a.yaml", text), Signature)
    assert found is not None
    return found


SPECS = [
    _spec('secret: { env: SECRET }\nsignature: { header: S, prefix: "sha256=" }'),
    _spec(
        'secret: { env: SECRET }\nsigned: "{{ timestamp }}.{{ body }}"\ntimestamp: { header: S, split: ",", prefix: "t=" }\nsignature: { header: S, split: ",", prefix: "v1=" }'
    ),
    _spec(
        'secret: { env: SECRET }\nencoding: base64\nsigned: "{{ url }}{{ form | sorted_pairs }}"\nsignature: { header: S, split: " " }'
    ),
]


def yaml(data: bytes) -> None:
    """A configuration file, as either kind: problems, and no error."""
    for kind in (Provider, Sink):
        document = Document("fuzz.yaml", data)
        decode_config(document, kind)
        assert all(problem.line >= 1 and problem.column >= 1 for problem in document.problems)


def path(data: bytes) -> None:
    """A JSONPath: refused with a sentence, or it finds something."""
    try:
        found = Path.read(data.decode(errors="replace"))
    except ValueError:
        return
    try:
        found(SCOPE["item"])
    except ExpressionError:
        return


def template(data: bytes) -> None:
    """An expression: refused with a sentence, or it has a value, or says why it has none."""
    try:
        expression = Inbound.read(data.decode(errors="replace"))
    except ValueError:
        return
    try:
        expression(SCOPE)
    except ExpressionError:
        return


def _webhook(body: bytes, **headers: str) -> Webhook:
    return Webhook(id="w", provider="p", received_at=datetime.fromtimestamp(NOW, UTC), body=body, headers=headers)


def body(data: bytes) -> None:
    """A body in each format; the first byte says how."""
    formats = ("json", "form", "multipart", "text", "auto")
    how = Decoding(
        format=formats[data[0] % 5] if data else "json", many=bool(data[:1] > b"\x80"), lenient=bool(data[1:2] > b"\x80")
    )
    types = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "", "text/plain")
    encoding = {"content-encoding": "gzip"} if data[2:3] > b"\xc0" else {}
    try:
        scopes = decode(how, _webhook(data[3:], **{"content-type": types[data[0] % 5] if data else ""}, **encoding))
    except (Undecodable, Unmappable):
        return
    for scope in scopes[:10]:
        json.dumps(scope["payload"], ensure_ascii=True)


def signature(data: bytes) -> None:
    """A signature's header: only Unverified."""
    for spec in SPECS:
        try:
            spec.verify(Signed(b"{}", "https://x.test/", {"s": data.decode("latin-1")}), SECRETS, NOW)
        except Unverified:
            continue
        raise AssertionError("it fits")


def answer(data: bytes) -> None:
    """A sink's answer: always a judgement, never a wait below zero or beyond an hour."""
    status = 200 + int.from_bytes(data[:2], "big") % 400
    head, _, text = data[2:].decode("latin-1").partition("\n")
    response = Response(status=status, headers={"retry-after": head, "x-ratelimit-reset": head}, text=text, json=None)
    for each in judge(Answers(), response, ["a", "b"], NOW):
        assert each.after is None or 0 <= each.after <= 3600


def times(data: bytes) -> None:
    """A time in any form."""
    try:
        to_time(data.decode(errors="replace"))
    except ExpressionError:
        return


def values(data: bytes) -> None:
    """What may stand in a file for a duration, a size, a rate, a network, a pattern."""
    text = data.decode(errors="replace")
    for kind in (Duration, Size, Rate, Network, Pattern):
        try:
            kind.read(text)  # type: ignore[attr-defined]
        except ValueError:
            continue


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (yaml, path, template, body, signature, answer, times, values)
}
SEEDS: dict[str, list[bytes]] = {
    "yaml": [
        b"title: T\nauth: { scheme: bearer, token: { env: X } }\nmap: { summary: $.a }\n",
        b"title: S\nrequest: { url: 'http://x/', json: { a: $.id } }\n",
    ],
    "path": [b"$.a['b'][0]", b"$..a[?@.b=='x' && @.c>1]", b"$.a[1:2:3]"],
    "template": [
        b"{{ item.a | upper ~ 'x' }}",
        b"{% for x in item.a %}{{ x }}{% endfor %}",
        b"{{ 1 if item.n > 3 else item.t[:2] }}",
    ],
    "body": [
        b'\x00\x00\x00{"a": [1, "\\ud800"]}',
        b"\x01\x00\x00a=1&b=%ff",
        b'\x02\x00\x00--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n',
    ],
    "signature": [b"sha256=00", b"t=1715000000,v1=00", b"AAAA BBBB"],
    "answer": [b"\x00\xe5120\n{}", b"\x00\xe5Wed, 21 Oct 2026 07:28:00 GMT\n"],
    "times": [
        b"2026-03-12T08:24:38.326+01:00",
        b"1715000000123",
        b"Thu, 12 Mar 2026 08:24:38 GMT",
        b"Thu Mar 12 08:24:38 UTC 2026",
    ],
    "values": [b"1h30m", b"5MiB", b"10/s", b"10.0.0.0/8", b"a*b?"],
}
