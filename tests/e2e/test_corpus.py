"""
Webhooks written by attackers, by kind, against one running gateway: each is refused (or taken, where it is merely odd) in under 250 ms,
by the clock or, on a busy machine, of the gateway's processor time; memory stays bounded, the process lives, and an honest sender is
let in after each kind. `pytest -s` prints the counts.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import http.client
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from machine import slowness

from .stand import Gateway, wait_for

LONGEST = 0.25  # seconds for an answer, on the usual machine
ROOM = 96  # MiB that all of it together may cost
SECRET, TOKEN = "c0rpus-secret", "c0rpus-token"
PROVIDERS = {
    "json": "auth: { scheme: token, header: X-Token, token: { env: CORPUS_TOKEN } }",
    "auto": "auth: { scheme: token, header: X-Token, token: { env: CORPUS_TOKEN } }\nbody: { format: auto }",
    "many": "auth: { scheme: token, header: X-Token, token: { env: CORPUS_TOKEN } }\nbody: { many: true, lenient: true }",
    "form": "auth: { scheme: token, header: X-Token, token: { env: CORPUS_TOKEN } }\nbody: { format: form }",
    "parts": "auth: { scheme: token, header: X-Token, token: { env: CORPUS_TOKEN } }\nbody: { format: multipart }",
    "signed": "auth: { scheme: hmac, secret: { env: CORPUS_SECRET }, signature: { header: X-Sig, prefix: 'v1=' , split: ',' }, "
    'signed: "{{ timestamp }}.{{ body }}", timestamp: { header: X-Time } }',
    "basic": "auth: { scheme: basic, username: user, password: { env: CORPUS_SECRET } }",
    "bearer": "auth: { scheme: bearer, token: { env: CORPUS_TOKEN } }",
}
MAP = """
title: Corpus
map:
  action: { from: $.state, table: { up: resolve }, absent: notice, default: notice }
  severity: { default: info }
  dedup_key: "{{ item.key or 'k' }}"
  summary: "{{ item.text or 'nothing' }}"
  source: "{{ item.text | capture('^(([a-z])+.)+[A-Z]([a-z])+$') | default('') }}"
  labels: $.labels
"""


class Bad(NamedTuple):
    """One request, and the statuses that it may get."""

    name: str
    path: str
    body: bytes = b"{}"
    headers: tuple[tuple[str, str | bytes], ...] = ()
    statuses: frozenset[int] = frozenset({400})
    method: str = "POST"


def taken(*more: int) -> frozenset[int]:
    return frozenset({202, *more})


JSON = (("content-type", "application/json"),)


def jsons() -> Iterator[Bad]:
    refused = {
        "empty": b"",
        "blank": b" \t\r\n" * 1000,
        "half": b'{"a": ',
        "NaN": b'{"a": NaN}',
        "infinity": b'{"a": -Infinity}',
        "1e400": b'{"a": 1e400}',
        "-1e400": b'{"a": -1e400}',
        "leading zero": b'{"a": 01}',
        "trailing bytes": b'{"a": 1} x',
        "two values": b"{}{}",
        "single quotes": b"{'a': 1}",
        "comment": b'{"a": 1 /* x */}',
        "trailing comma": b'{"a": 1,}',
        "control character": b'{"a": "\x00\x01"}',
        "raw line break": b'{"a": "\n"}',
        "invalid UTF-8": b'{"a": "\xff\xfe"}',
        "overlong UTF-8": b'{"a": "\xc0\xaf"}',
        "UTF-16": '{"a": 1}'.encode("utf-16"),
        "UTF-32": '{"a": 1}'.encode("utf-32"),
        "bad escape": b'{"a": "\\x41"}',
        "half an escape": b'{"a": "\\u12"}',
        "binary": bytes(range(256)),
        "HTML": b"<html></html>",
        "a word": b"nonsense",
    }
    yield from (Bad(name, "/webhooks/json", body) for name, body in refused.items())
    for depth in (101, 1_000, 10_000, 100_000, 500_000):
        yield Bad(f"{depth} lists", "/webhooks/json", b"[" * depth + b"]" * depth)
        yield Bad(f"{depth} open lists", "/webhooks/json", b"[" * depth)
        yield Bad(f"{depth} objects", "/webhooks/json", b'{"a":' * depth + b"1" + b"}" * depth, statuses=frozenset({400, 413}))
    odd = {
        "a BOM": b'\xef\xbb\xbf{"text": "x"}',
        "a lone surrogate": b'{"text": "\\ud800"}',
        "a pair of surrogates": b'{"text": "\\ud83d\\ude00"}',
        "many lone surrogates": b'{"text": "' + b"\\ud800" * 100_000 + b'"}',
        "NUL": b'{"text": "\\u0000"}',
        "keys twice": b'{"text": "a", "text": "b"}' + b" " * 100,
        "5,000 digits": b'{"key": ' + b"9" * 5_000 + b"}",
        "4,000 digits": b'{"key": ' + b"9" * 4_000 + b"}",
        "a tiny number": b'{"key": 1e-400}',
        "1 MiB of one key": b'{"' + b"k" * 1_000_000 + b'": 1}',
        "1 MiB of one text": b'{"text": "' + b"t" * 1_000_000 + b'"}',
        "empty objects": b"[" + b"{}," * 300_000 + b"{}]",
        "empty lists": b"[" + b"[]," * 300_000 + b"[]]",
        "numbers": b"[" + b"1," * 500_000 + b"1]",
        "keys": b"{" + b",".join(b'"%d":1' % n for n in range(80_000)) + b"}",
        "labels": b'{"labels": {' + b",".join(b'"%d":"x"' % n for n in range(60_000)) + b"}}",
        "labels that are no mapping": b'{"labels": [1, 2]}',
        "evil text for an expression": b'{"text": "' + b"a" * 50_000 + b'!"}',
        "markup": b'{"text": "<script>alert(1)</script>{{ 7 * 7 }}{% raw %}"}',
        "terminal and log": b'{"text": "\\u001b[2J\\r\\n{\\"level\\":\\"info\\"}\\u202e\\u2028"}',
        "__proto__": b'{"__proto__": {"a": 1}, "__class__": "x", "text": "x"}',
    }
    yield from (Bad(name, "/webhooks/json", body, statuses=taken(400, 413)) for name, body in odd.items())
    yield Bad("too large", "/webhooks/json", b'"' + b"x" * (1 << 20) + b'"', statuses=frozenset({413}))
    yield Bad("objects glued together", "/webhooks/many", b"{}" * 400_000, statuses=frozenset({413}))
    yield Bad("lines", "/webhooks/many", b"{}\n" * 3_000, statuses=taken(413))
    yield Bad("deep and lenient", "/webhooks/many", b"[" * 100_000 + b"]" * 100_000)


def compressions() -> Iterator[Bad]:
    def packed(name: str, body: bytes, encoding: str = "gzip", *statuses: int) -> Bad:
        return Bad(name, "/webhooks/json", body, (("content-encoding", encoding),), frozenset(statuses or (400,)))

    honest = gzip.compress(b'{"text": "x"}')
    bomb = gzip.compress(b"\0" * 100_000_000, 9)
    yield packed("a bomb of 100 MB", bomb, "gzip", 413)
    yield packed("a bomb of a bomb", gzip.compress(bomb), "gzip", 400, 413)
    yield packed("a bomb of JSON", gzip.compress(b"[" * 50_000_000), "gzip", 413)
    yield packed("truncated", honest[:-8])
    yield packed("trailing garbage", honest + b"x")
    yield packed("two members", honest + honest)
    yield packed("a wrong checksum", honest[:-8] + b"\0" * 8)
    yield packed("not gzip", b'{"text": "x"}')
    yield packed("empty", b"")
    yield packed("a header and no more", honest[:10])
    yield packed("zlib", zlib.compress(b"{}"), "gzip")
    for encoding in ("deflate", "br", "zstd", "compress", "gzip, gzip", "gzip;q=1", "x" * 1_000, "GZIP\t,", "identity, gzip"):
        yield packed(f"encoding {encoding[:20]}", honest, encoding, 415)
    yield Bad(
        "two encodings", "/webhooks/json", honest, (("content-encoding", "gzip"), ("content-encoding", "gzip")), frozenset({415})
    )


def forms() -> Iterator[Bad]:
    form = (("content-type", "application/x-www-form-urlencoded"),)
    yield Bad("100,000 fields", "/webhooks/form", b"a=1&" * 100_000, form, frozenset({413}))
    yield Bad("only ampersands", "/webhooks/form", b"&" * 500_000, form, frozenset({413}))
    yield Bad("per cent", "/webhooks/form", b"text=" + b"%" * 200_000, form, taken(400))
    yield Bad("per cent and not UTF-8", "/webhooks/form", b"text=%ff%fe", form, frozenset({400}))
    yield Bad("not UTF-8", "/webhooks/form", b"text=\xff", form, frozenset({400}))
    yield Bad("a wrong type", "/webhooks/form", b"{}", JSON, frozenset({415}))
    yield Bad("1 MiB of one field", "/webhooks/form", b"text=" + b"x" * 1_000_000, form, taken())
    yield Bad("text twice", "/webhooks/form", b"text=a&text=b", form, taken())
    yield Bad("automatic, and XML", "/webhooks/auto", b"<a/>", (("content-type", "text/xml"),), frozenset({415}))
    yield Bad(
        "automatic, and a type of noise", "/webhooks/auto", b"{}", (("content-type", "\x80\xff;;;=" * 100),), frozenset({415})
    )

    def parts(name: str, body: bytes, type: str = "multipart/form-data; boundary=b", *statuses: int) -> Bad:
        return Bad(name, "/webhooks/parts", body, (("content-type", type),), frozenset(statuses or (400,)))

    part = b'--b\r\ncontent-disposition: form-data; name="text"\r\n\r\nx\r\n'
    yield parts("no boundary", part, "multipart/form-data", 415)
    yield parts("an empty boundary", part, 'multipart/form-data; boundary=""', 415)
    yield parts("a boundary of 10 KB", part, "multipart/form-data; boundary=" + "b" * 10_000)
    yield parts("no end", part)
    yield parts("empty", b"")
    yield parts("noise", bytes(range(256)) * 100)
    yield parts("2,000 parts", part * 2_000 + b"--b--\r\n", "multipart/form-data; boundary=b", 413)
    yield parts("a part without a head", b"--b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400, 202)
    yield parts(
        "a head of 200 KB",
        b"--b\r\nx: " + b"y" * 200_000 + b"\r\n\r\nx\r\n--b--\r\n",
        "multipart/form-data; boundary=b",
        400,
        413,
    )
    yield parts("100,000 boundaries", b"--b\r\n" * 100_000 + b"--b--", "multipart/form-data; boundary=b", 400, 413)
    yield parts(
        "nested",
        b'--b\r\ncontent-disposition: form-data; name="text"\r\ncontent-type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n--c--\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
        202,
        400,
    )
    yield parts("a field that is not UTF-8", part.replace(b"x\r\n", b"\xff\r\n") + b"--b--\r\n")


def signatures() -> Iterator[Bad]:
    body, now = b'{"text": "x"}', int(time.time())
    right = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()

    def signed(name: str, *headers: tuple[str, str | bytes], body: bytes = body) -> Bad:
        return Bad(name, "/webhooks/signed", body, headers, frozenset({401}))

    at = ("x-time", str(now))
    values = {
        "absent": None,
        "empty": "",
        "the prefix alone": "v1=",
        "no prefix": right,
        "another prefix": f"v0={right}",
        "two prefixes": f"v1=v1={right}",
        "a blank": f"v1= {right}",
        "one letter less": f"v1={right[:-1]}",
        "one letter more": f"v1={right}0",
        "another encoding": "v1=" + bytes.fromhex(right).hex(":"),
        "full width": "v1=" + "".join(chr(ord(each) + 0xFEE0) for each in right)[:20].encode("utf-8").decode("latin-1"),
        "not ASCII": "v1=é" + right[1:],
        "10 KB": "v1=" + "a" * 10_000,
        "5,000 values": ",".join(["v1=a"] * 3_000),
        "commas": "," * 10_000,
        "a bit flipped": f"v1={'0' if right[0] != '0' else '1'}{right[1:]}",
        "the word none": "v1=none",
        "a null": "v1=null",
    }
    for name, value in values.items():
        yield signed(f"signature {name}", at, *([] if value is None else [("x-sig", value)]))
    yield signed("signature twice", at, ("x-sig", f"v1={right}"), ("x-sig", f"v1={right}"))
    yield signed("time twice", at, at, ("x-sig", f"v1={right}"))
    yield signed("another body", at, ("x-sig", f"v1={right}"), body=body + b" ")
    for time_ in (
        "",
        "nan",
        "inf",
        "1e9",
        f"+{now}",
        f" {now}",
        f"{now}.0",
        f"0x{now:x}",
        f"-{now}",
        "9" * 20,
        str(now - 301),
        str(now + 302),
        "٣" * 10,
        "0",
    ):
        value = time_.encode() if not time_.isascii() else time_
        digest = hmac.new(SECRET.encode(), f"{time_}.".encode() + body, hashlib.sha256).hexdigest()
        yield signed(f"time {time_[:12]!r}", ("x-time", value), ("x-sig", f"v1={digest}"))
    empty = hmac.new(b"", f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    yield signed("signed with an empty secret", at, ("x-sig", f"v1={empty}"))


def tokens() -> Iterator[Bad]:
    for value in (
        "",
        " ",
        TOKEN[:-1],
        TOKEN + "x",
        TOKEN.upper(),
        f"Bearer {TOKEN}",
        "é" * 100,
        "x" * 15_000,
        f"{TOKEN},{TOKEN}",
        f"{TOKEN}\t",
    ):
        allowed = {401, 202} if value.strip() == TOKEN else {401}
        yield Bad(f"token {value[:16]!r}", "/webhooks/json", b"{}", (("x-token", value),), frozenset(allowed))
    yield Bad("token twice", "/webhooks/json", b"{}", (("x-token", TOKEN), ("x-token", TOKEN)), frozenset({401}))
    for value in (
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + "A" * 10_000,
        "Basic dXNlcg==",
        "Basic /w==",
        "Digest x",
        f"Bearer {TOKEN}",
    ):
        yield Bad(f"basic {value[:16]!r}", "/webhooks/basic", b"{}", (("authorization", value),), frozenset({401}))
    for value in ("", "Bearer", "Bearer  ", f"bearer{TOKEN}", f"Basic {TOKEN}", f"Bearer {TOKEN} x", "Bearer " + "x" * 10_000):
        yield Bad(f"bearer {value[:16]!r}", "/webhooks/bearer", b"{}", (("authorization", value),), frozenset({401}))


def addresses() -> Iterator[Bad]:
    for path in (
        "/webhooks/",
        "/webhooks",
        "/webhooks//",
        "/webhooks/%00",
        "/webhooks/nobody",
        "/webhooks/../readyz",
        "/webhooks/%2e%2e/x",
        "/webhooks/JSON",
        "/webhooks/" + "a" * 8_000,
        "/webhooks/%ff%fe",
        "/webhooks/json%0d%0aX-A:b",
        "/webhooks/\u202e".encode().decode("latin-1"),
    ):
        yield Bad(f"path {path[:24]!r}", path, statuses=frozenset({400, 401, 404, 405, 431}))
    yield Bad("path of 1 MB", "/webhooks/" + "a" * 1_000_000, statuses=frozenset({400, 431}))
    yield Bad("10,000 parameters", "/webhooks/json?" + "a=1&" * 10_000, statuses=frozenset({400, 431}))
    yield Bad("200 parameters", "/webhooks/json?" + "a=1&" * 200, headers=(("x-token", TOKEN),), statuses=frozenset({400}))
    for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"):
        yield Bad(method, "/webhooks/json", b"", method=method, statuses=frozenset({401, 405, 501}))
    yield Bad("200 headers", "/webhooks/json", headers=tuple((f"x-{n}", "y") for n in range(200)), statuses=frozenset({431}))
    yield Bad("a header of 20 KB", "/webhooks/json", headers=(("x-a", "y" * 20_000),), statuses=frozenset({431}))
    yield Bad(
        "headers of 40 KB", "/webhooks/json", headers=tuple((f"x-{n}", "y" * 4_000) for n in range(10)), statuses=frozenset({431})
    )


KINDS = {
    "JSON": jsons,
    "compressed": compressions,
    "forms": forms,
    "signatures": signatures,
    "tokens": tokens,
    "addresses, methods, headers": addresses,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("corpus")
    conf = folder / "conf"
    (conf / "providers.d").mkdir(parents=True)
    for name, auth in PROVIDERS.items():
        (conf / "providers.d" / f"{name}.yaml").write_text(MAP + auth + "\n")
    env = {"CORPUS_TOKEN": TOKEN, "CORPUS_SECRET": SECRET}
    with Gateway(folder, config=conf, env=env) as made:
        yield made


def resident(gateway: Gateway) -> float:
    """MiB."""
    assert gateway.process is not None
    text = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def processor(gateway: Gateway) -> float:
    """Seconds of processor time so far."""
    assert gateway.process is not None
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(gateway: Gateway, bad: Bad) -> tuple[int, float]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.putrequest(bad.method, "/", skip_accept_encoding=True)
    connection._buffer[0] = connection._buffer[0].replace(
        b" / ", b" " + bad.path.encode("latin-1") + b" "
    )  # as it is, whatever it is
    names = {name for name, _ in bad.headers}
    own = (
        (("x-token", TOKEN),)
        if bad.path.startswith(("/webhooks/json", "/webhooks/auto", "/webhooks/many", "/webhooks/form", "/webhooks/parts"))
        and bad.statuses != frozenset({401})
        else ()
    )
    for name, value in (
        *own,
        *bad.headers,
        *(JSON if "content-type" not in names else ()),
        ("content-length", str(len(bad.body))),
    ):
        connection._buffer.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode("utf-8")))
    began = time.monotonic()
    with suppress(BrokenPipeError, ConnectionResetError):  # where it was refused before all of it was sent, the answer is there
        connection.endheaders(bad.body)
    try:
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.monotonic() - began
    except (ConnectionResetError, http.client.RemoteDisconnected):
        return 431, time.monotonic() - began  # cut off: what was sent is larger than what is read
    finally:
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_what_attackers_send_is_refused_at_once(gateway: Gateway, kind: str) -> None:
    before, slow, wrong, count = resident(gateway), {}, {}, 0
    for bad in KINDS[kind]():
        count += 1
        spent = processor(gateway)
        status, seconds = ask(gateway, bad)
        seconds = min(seconds, processor(gateway) - spent)
        if seconds > LONGEST * slowness():
            slow[bad.name] = round(seconds, 2)
        if status not in bad.statuses:
            wrong[bad.name] = status
    grown = resident(gateway) - before
    print(f"\n{kind}: {count} refused in under {LONGEST} s each, memory grew by {grown:.0f} MiB")
    assert wrong == {}
    assert slow == {}
    assert grown < ROOM
    status, answer = gateway.post("/webhooks/json", {"text": "honest"}, **{"x-token": TOKEN})
    assert (status, answer["events"][0]["outcome"]) == (202, "unrouted")
    wait_for("the log", lambda: "gateway.fault" not in gateway.log.read_text())
    assert TOKEN not in gateway.log.read_text()
    assert SECRET not in gateway.log.read_text()
    odd = [line for line in gateway.log.read_text().splitlines() if not line.startswith("{")]
    assert odd == []
