"""
A secret of its own for every way to prove an identity, inbound and outbound, pushed through everything that may go wrong: wrong and
right webhooks, sinks that say back what they were sent, refusals, broken files, replays. None is found anywhere afterwards: not in the
database, the log, a metric, an answer of the API, a page, or what the commands print.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus

from .stand import ADMIN, COMMAND, Gateway, Receiver, call, wait_for

# Signs that a URL, a form, JSON and a terminal write in another way.
CANARIES = {
    name: f'c4nary+{name}/"x&y=%z\\' for name in ("header", "query", "basic", "field", "segment", "bearer", "hmac", "both")
}
CANARIES["segment"] = CANARIES["segment"].replace("/", "-")  # a slash would end the segment
SENT = {f"sink_{name}": f"c4nary-{name}/+&=" for name in ("key", "bearer", "basic", "sign", "url", "query", "body")}
ALL = {**CANARIES, **SENT, "admin": ADMIN}

SCHEMES = {
    "header": "{ scheme: token, header: X-Token, token: { env: HEADER } }",
    "query": "{ scheme: token, query: key, token: { env: QUERY } }",
    "basic": "{ scheme: basic, username: u, password: { env: BASIC } }",
    "field": "{ scheme: token, field: key, token: { env: FIELD } }",
    "segment": "{ scheme: token, segment: 1, token: { env: SEGMENT } }",
    "bearer": "{ scheme: bearer, token: { env: BEARER } }",
    "hmac": "{ scheme: hmac, secret: { env: HMAC }, signature: { header: X-Signature } }",
    "both": "{ scheme: any, of: [ { scheme: token, header: X-Token, token: { env: BOTH } },"
    " { scheme: token, query: key, token: { env: BOTH } } ] }",
}
PROVIDER = """
title: Provider
auth: {auth}
body: {{ format: auto }}
map:
  action: {{ default: trigger }}
  dedup_key: $.id
  severity: {{ from: $.level, table: {{ bad: error }}, absent: info }}
  summary: "{{{{ item.id }}}} {{{{ headers | json }}}} {{{{ query | json }}}}"
  details: $
"""
SINKS = {
    "key": "auth: { scheme: api_key, key: { env: SINK_KEY }, header: X-Key, prefix: 'Key ' }",
    "bearer": "auth: { scheme: bearer, token: { env: SINK_BEARER } }",
    "basic": "auth: { scheme: basic, username: { env: SINK_USER }, password: { env: SINK_BASIC } }",
    "sign": "sign: { secret: { env: SINK_SIGN }, signature: { header: X-Signature } }",
    "url": "secrets: { it: { env: SINK_URL } }",
    "query": "secrets: { it: { env: SINK_QUERY } }",
    "body": "secrets: { it: { env: SINK_BODY } }",
}
PLACES = {"url": "/{{ secrets.it | urlencode }}", "query": "/?key={{ secrets.it | urlencode }}"}
FIELDS = {"body": ", key: '{{ secrets.it }}'"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def configuration(folder: Path) -> Path:
    root = folder / "config"
    for kind in ("providers.d", "sinks.d"):
        (root / kind).mkdir(parents=True)
    for name, auth in SCHEMES.items():
        (root / "providers.d" / f"{name}.yaml").write_text(PROVIDER.format(auth=auth))
    for name, keys in SINKS.items():
        (root / "sinks.d" / f"{name}.yaml").write_text(
            f"title: Sink\nvars: {{ url: {{ env: SINKS }} }}\n{keys}\nretry: {{ attempts: 2, first_delay: 10ms }}\n"
            f"request: {{ url: '{{{{ vars.url }}}}/{name}{PLACES.get(name, '/')}', json: {{ id: $.id{FIELDS.get(name, '')} }} }}\n"
        )
    return root


def post(gateway: Gateway, name: str, secret: str, body: object) -> tuple[int, object]:
    """The answer to a webhook that carries this secret."""
    path, content, headers = sent(name, secret, body)
    return gateway.post(path, content, **headers)


def sent(name: str, secret: str, body: object) -> tuple[str, bytes, dict[str, str]]:
    """Path, body and headers of a webhook that carries this secret, and a proxy that repeats it."""
    plain = json.dumps(body).encode()
    path, headers = f"/webhooks/{name}", {"referer": f"https://proxy.test/?again={quote(secret, safe='')}"}
    match name:
        case "header":
            return path, plain, headers | {"x-token": secret}
        case "query":
            return f"{path}?key={quote(secret, safe='')}", plain, headers
        case "basic":
            return path, plain, headers | {"authorization": "Basic " + base64.b64encode(f"u:{secret}".encode()).decode()}
        case "field":
            return path, f"id=a&level=bad&key={quote_plus(secret)}".encode(), headers | FORM
        case "segment":
            return f"{path}/{quote(secret, safe='')}", plain, headers
        case "bearer":
            return path, plain, headers | {"authorization": f"Bearer {secret}"}
        case "hmac":
            return path, plain, headers | {"x-signature": hmac.digest(secret.encode(), plain, hashlib.sha256).hex()}
    return f"{path}?key={quote(secret, safe='')}", plain, headers | {"x-token": secret}


def written(secret: str) -> set[bytes]:
    """The ways in which it may stand somewhere."""
    pairs = {base64.b64encode(f"{user}:{secret}".encode()).decode() for user in ("u", "someone")}
    texts = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], *pairs}
    twice = {json.dumps(text)[1:-1] for text in texts}  # text that quotes JSON, as JSON
    return {text.encode() for text in texts | twice}


def echo(path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """A receiver that says back all it was sent, and then what it thinks of it."""
    status = {"key": 400, "bearer": 401, "basic": 500, "sign": 429, "url": 404, "query": 302}.get(path.split("/")[1], 200)
    said = f"{path} {headers} {body.decode()}"
    return status, {"retry-after": "0", "location": f"http://127.0.0.1:1{path}"}, said.encode()


def printed(gateway: Gateway, *arguments: str) -> bytes:
    done = subprocess.run(
        [*COMMAND, *arguments], env=gateway.env, cwd=gateway.folder, capture_output=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def answers(gateway: Gateway) -> list[object]:
    """All that the API and the pages say."""
    found = [gateway.api(f"/{kind}") for kind in ("sinks", "providers", "configuration", "openapi.json", "docs")]
    for kind in ("events", "incidents", "deliveries", "dead-letters"):
        items = gateway.all(kind)
        found += items + [gateway.api(f"/{kind}/{item['id']}") for item in items]
    return found + [call("GET", gateway.url + path) for path in ("/metrics", "/readyz", "/healthz", "/nowhere")]


def test_a_canary_in_every_secret_is_found_nowhere(tmp_path: Path) -> None:
    root = configuration(tmp_path)
    said: dict[str, object] = {}
    with Receiver(echo) as receiver:
        env = {name.upper(): value for name, value in ALL.items()} | {
            "SINKS": receiver.url,
            "SINK_USER": "someone",
            "GATEWAY_ADMIN_TOKEN": ADMIN,
            "GATEWAY_CATALOGUE": "off",
        }
        with Gateway(tmp_path, env=env, config=root) as gateway:
            admin = {"authorization": f"Bearer {ADMIN}"}
            for name, secret in CANARIES.items():
                heard = [post(gateway, name, each, {"id": "a", "level": "bad"}) for each in (secret, secret + "x", "x" + secret)]
                assert [status for status, _ in heard] == [202, 401, 401], (name, heard)
                said[name] = [*heard, post(gateway, name, secret, {"level": "odd"})]
            wait_for("what fails to fail", lambda: len(gateway.all("dead-letters")) > 30)
            said["before"] = answers(gateway)
            said["replays"] = [
                call("POST", f"{gateway.url}/api/v1/dead-letters/{item['id']}/replay", None, admin)
                for item in gateway.all("dead-letters")
            ]
            (root / "sinks.d" / "broken.yaml").write_text("title: [\n")
            said["reload"] = call("POST", f"{gateway.url}/api/v1/reload", {}, admin)
            said["wrong admin"] = call("GET", f"{gateway.url}/api/v1/events", None, {"authorization": f"Bearer {ADMIN}x"})
            (root / "sinks.d" / "broken.yaml").unlink()
            said["after"] = answers(gateway)
            commands = [
                ("validate", str(root)), ("test", "--config", str(root)), ("doctor", "--config", str(root)),
                ("show", "--config", str(root), "header"), ("show", "--config", str(root), "url"), ("reload", "--url", gateway.url),
            ]  # fmt: skip
            said["commands"] = {" ".join(each): printed(gateway, *each).decode() for each in commands}
            assert gateway.stop() == 0
    files = {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and root not in file.parents}
    assert {"gateway.db", "gateway.log"} <= set(files)
    # As it is and as JSON: what stands in a text is escaped once more in a document.
    everywhere = files | {f"said: {place}": json.dumps(each).encode() for place, each in said.items()}
    everywhere |= {
        f"said plainly: {place}": json.dumps(each, ensure_ascii=False).replace("\\", "").encode() for place, each in said.items()
    }
    found = [
        (place, name, str(content[max(0, content.index(text) - 60) : content.index(text) + 60]))
        for place, content in everywhere.items()
        for name, secret in ALL.items()
        for text in written(secret)
        if text in content
    ]
    assert found == []
    assert SENT["sink_body"] in repr(receiver.got)
    assert b"***" in everywhere["said: before"]
