"""Who sent it: each scheme, what it says when it refuses, and which of several schemes decides."""

from __future__ import annotations

import ast
import base64
import hmac
from datetime import UTC, datetime
from pathlib import Path

import pytest
from doors import Door, read

from gateway import signature
from gateway.config.decode import decode
from gateway.config.yaml import Document
from gateway.errors import SecretUnset, Unverified
from gateway.model import Webhook
from gateway.stages import verify as stage
from gateway.stages.verify import allowed, jwt, sns, verify
from gateway.values import Network, Secrets

SECRETS = {"TOKEN": "s3cret-token", "OLD": "old-token", "KEY": "key", "PASSWORD": "pass:wörd", "SNOW": "sn\u2603w"}
UNSET = "{} is not set"


def webhook(
    body: bytes = b"", repeated: tuple[str, ...] = (), query: dict[str, str] | None = None, rest: str = "", **headers: str
) -> Webhook:
    named = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Webhook(
        id="w", provider="p", received_at=at, body=body, headers=named, repeated=frozenset(repeated), query=query or {}, rest=rest
    )


def verdict(text: str, sent: Webhook, secrets: dict[str, str] = SECRETS) -> str:
    """Empty where it verifies; else the whole message, in which no secret stands."""
    said = ""
    try:
        verify(read(text), sent, Secrets(secrets), 0.0)
    except (Unverified, SecretUnset) as error:
        said = str(error)
    assert not any(secret in said for secret in secrets.values() if len(secret) > 3)
    return said


def basic(pair: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(pair.encode(encoding)).decode()


BEARER = "{ scheme: bearer, token: { env: TOKEN, previous: { env: OLD } } }"
NO_TOKEN = "Authorization does not carry the token"
CUSTOM = "{ scheme: bearer, token: { env: SNOW }, header: X-Key, prefix: 'Key ' }"
LATIN = "{ scheme: bearer, token: { env: PASSWORD } }"
BASIC = "{ scheme: basic, username: g\xe4teway, password: { env: PASSWORD } }"
NO_PASSWORD = "Authorization does not carry the user name and password"
HEADER = "{ scheme: token, header: X-Token, prefix: 'tok ', token: { env: TOKEN } }"
QUERY = "{ scheme: token, query: key, token: { env: PASSWORD } }"
SEGMENT = "{ scheme: token, segment: 2, token: { env: TOKEN, previous: { env: OLD } } }"
FIELD = "{ scheme: token, field: tok\xe9n, token: { env: PASSWORD } }"
UTF8 = "pass:wörd".encode().decode("latin-1")  # UTF-8 on the wire, as a server reads headers

CASES: list[tuple[str, Webhook, str]] = [
    (BEARER, webhook(authorization="Bearer s3cret-token"), ""),
    (BEARER, webhook(authorization="bearer s3cret-token"), ""),
    (BEARER, webhook(authorization="Bearer old-token"), ""),
    (BEARER, webhook(), "there is no Authorization"),
    (BEARER, webhook(authorization=""), "Authorization is empty"),
    (BEARER, webhook(authorization="Bearer s3cret-token", repeated=("authorization",)), "Authorization came more than once"),
    *[
        (BEARER, webhook(authorization=value), NO_TOKEN)
        for value in ("Bearer", "Bearer ", "Bearer x", "Bearer s3cret-toke", "Bearer s3cret-token ", "s3cret-token", "Bearer S3CRET-TOKEN", "Basic s3cret-token", "Bearer \u2603\xe9\ud800")
    ],
    (LATIN, webhook(authorization="Bearer pass:wörd"), ""),
    (LATIN, webhook(authorization=f"Bearer {UTF8}"), ""),
    (LATIN, webhook(authorization="Bearer pass:w?rd"), NO_TOKEN),
    (CUSTOM, webhook(x_key="Key sn\u2603w"), ""),
    (CUSTOM, webhook(x_key="Key " + "sn\u2603w".encode().decode("latin-1")), ""),
    (CUSTOM, webhook(x_key="Key sn?w"), "X-Key does not carry the token"),
    (BASIC, webhook(authorization=basic("gäteway:pass:wörd")), ""),
    (BASIC, webhook(authorization=basic("gäteway:pass:wörd", "latin-1")), ""),
    (BASIC, webhook(authorization=basic("gäteway:pass:wörd").rstrip("=")), ""),
    (BASIC, webhook(authorization=basic("gäteway:pass:wörd").replace("Basic ", "BASIC  ")), ""),
    (BASIC, webhook(), "there is no Authorization"),
    (BASIC, webhook(authorization=basic("gäteway:pass:wörd"), repeated=("authorization",)), "Authorization came more than once"),
    *[
        (BASIC, webhook(authorization=value), NO_PASSWORD)
        for value in (basic("gäteway:pass"), basic("root:pass:wörd"), basic("gäteway"), basic(":"), basic(""), "Basic", "Basic !", "Basic \u2603", basic("gäteway:pass:wörd").replace("Basic", "Bearer"))
    ],
    (HEADER, webhook(x_token="tok s3cret-token"), ""),
    (HEADER, webhook(x_token="s3cret-token"), "X-Token does not carry the token"),
    (HEADER, webhook(x_token="tok s3cret"), "X-Token does not carry the token"),
    (HEADER, webhook(x_token=""), "X-Token is empty"),
    (HEADER, webhook(), "there is no token in X-Token"),
    (HEADER, webhook(x_token="tok s3cret-token", repeated=("x-token",)), "X-Token came more than once"),
    (QUERY, webhook(query={"key": "pass:wörd"}), ""),
    (QUERY, webhook(query={"key": UTF8}), "the query parameter key does not carry the token"),
    (QUERY, webhook(query={"key": "\ud800"}), "the query parameter key does not carry the token"),
    (QUERY, webhook(query={"Key": "pass:wörd"}), "there is no token in the query parameter key"),
    (QUERY, webhook(query={"key": ""}), "there is no token in the query parameter key"),
    (SEGMENT, webhook(rest="/team/s3cret-token/"), ""),
    (SEGMENT, webhook(rest="team//old-token/more"), ""),
    (SEGMENT, webhook(rest="/s3cret-token"), "there is no token in segment 2 of the path"),
    (SEGMENT, webhook(rest="/s3cret-token/team"), "segment 2 of the path does not carry the token"),
    (FIELD, webhook(body=b"a=1&tok%C3%A9n=pass%3Aw%C3%B6rd"), ""),
    (FIELD, webhook(body="tokén=pass:wörd".encode()), ""),
    (FIELD, webhook(body=b"tok%C3%A9n=x&tok%C3%A9n=pass%3Aw%C3%B6rd"), "the field tokén does not carry the token"),
    (FIELD, webhook(body=' {"tokén": "pass:wörd"}'.encode()), ""),
    (FIELD, webhook(body='{"tokén": "pass:wörd"'.encode()), "there is no token in the field tokén"),
    (FIELD, webhook(body='{"tokén": "pass"}'.encode()), "the field tokén does not carry the token"),
    (FIELD, webhook(body='{"tokén": ["pass:wörd"]}'.encode()), "there is no token in the field tokén"),
    (FIELD, webhook(body='{"a": {"tokén": "pass:wörd"}}'.encode()), "there is no token in the field tokén"),
    (FIELD, webhook(body='[{"tokén": "pass:wörd"}]'.encode()), "there is no token in the field tokén"),
    (FIELD, webhook(body=b"{" * 100_000), "there is no token in the field tokén"),
    (FIELD, webhook(body=b"\xff=\xfe&" * 2000), "there is no token in the field tokén"),
    ("{ scheme: none, because: it stands behind a VPN }", webhook(), ""),
]  # fmt: skip


@pytest.mark.parametrize("scheme, sent, says", CASES, ids=range(len(CASES)))
def test_a_scheme_accepts_what_proves_the_sender_and_says_why_it_refuses_the_rest(scheme, sent, says):
    assert verdict(scheme, sent) == says


@pytest.mark.parametrize(
    "scheme, names",
    [
        (BEARER, "TOKEN"),
        (BASIC, "PASSWORD"),
        (HEADER, "TOKEN"),
        ("{ scheme: hmac, secret: { file: key }, signature: { header: X } }", "file key (there is no secrets directory: set `secrets_dir` in gateway.yaml)"),
        (f"{{ scheme: all, of: [{BEARER}, {BASIC}, {HEADER}] }}", "TOKEN as well as PASSWORD as well as TOKEN"),
        (f"{{ scheme: any, of: [{BEARER}, {BASIC}] }}", "TOKEN or PASSWORD"),
    ],
)  # fmt: skip
def test_a_scheme_without_a_secret_is_closed_and_names_what_is_missing(scheme, names):
    for blank in ("", " ", "\n"):
        everything = webhook(authorization=f"Bearer {blank}", x_token=f"tok {blank}", x="0")
        assert verdict(scheme, everything, {"TOKEN": blank, "PASSWORD": blank, "OLD": "old-token"}) == UNSET.format(names)


HMAC = "{ scheme: hmac, secret: { env: KEY }, signature: { header: X-Sig }, aliases: { X-Sig: X-Old-Sig } }"
PLAIN = "{ scheme: token, header: X-Token, token: { env: TOKEN } }"
ANY = f"{{ scheme: any, of: [{HMAC}, {PLAIN}, {LATIN}] }}"
SIGNED = hmac.new(b"key", b"x", "sha256").hexdigest()
WRONG_SIGNATURE = "X-Sig does not fit what was sent and the secret"


@pytest.mark.parametrize(
    "sent, off, says",
    [
        (webhook(b"x", x_sig=SIGNED), (), ""),
        (webhook(b"x", x_old_sig=SIGNED), (), ""),
        (webhook(b"x", x_token="s3cret-token"), (), ""),
        (webhook(b"x", authorization="Bearer pass:wörd"), (), ""),
        (webhook(b"x", x_sig="0", x_token="s3cret-token"), (), WRONG_SIGNATURE),
        (webhook(b"x", x_sig="", x_token="s3cret-token"), (), "X-Sig is empty"),
        (webhook(b"x", x_old_sig="0", x_token="s3cret-token"), (), WRONG_SIGNATURE),
        (webhook(b"x", x_sig=SIGNED, x_token="s3cret-token", repeated=("x-sig",)), (), "X-Sig came more than once"),
        (webhook(b"x", x_token="wrong", authorization="Bearer pass:wörd"), (), "X-Token does not carry the token"),
        (webhook(b"x", x_token="", authorization="Bearer pass:wörd"), (), "X-Token is empty"),
        (webhook(b"x", x_sig="0", x_token="s3cret-token"), ("KEY",), ""),
        (webhook(b"x", x_sig=SIGNED), ("KEY",), "there is none of: X-Token, Authorization: Bearer …"),
        (webhook(b"x"), (), "there is none of: X-Sig, X-Token, Authorization: Bearer …"),
        (webhook(b"x", authorization="Basic eA=="), ("KEY", "TOKEN"), "there is none of: Authorization: Bearer …"),
        (webhook(b"x", x_sig=SIGNED), ("KEY", "TOKEN", "PASSWORD"), "KEY or TOKEN or PASSWORD is not set"),
    ],
)  # fmt: skip
def test_of_several_schemes_the_strongest_that_is_on_and_spoken_decides_alone(sent, off, says):
    assert verdict(ANY, sent, {name: value for name, value in SECRETS.items() if name not in off}) == says


ALL = f"{{ scheme: all, of: [{ANY}, {QUERY}] }}"


@pytest.mark.parametrize(
    "scheme, sent, off, says",
    [
        (ALL, webhook(b"x", x_sig=SIGNED, query={"key": "pass:wörd"}), (), ""),
        (ALL, webhook(b"x", x_sig=SIGNED, query={"key": "pass:wörd"}), ("TOKEN",), ""),
        (ALL, webhook(b"x", x_sig=SIGNED), (), "there is no token in the query parameter key"),
        (ALL, webhook(b"x", query={"key": "pass:wörd"}), (), "there is none of: X-Sig, X-Token, Authorization: Bearer …"),
        (ALL, webhook(b"x", x_sig=SIGNED, query={"key": "pass:wörd"}), ("PASSWORD",), "PASSWORD is not set"),
        # one within another: half of the stronger two is there, so the weaker one does not count
        (f"{{ scheme: any, of: [{ALL}, {BEARER}] }}", webhook(b"x", x_sig=SIGNED, authorization="Bearer s3cret-token"), (), "there is no token in the query parameter key"),
        (f"{{ scheme: any, of: [{ALL}, {BEARER}] }}", webhook(b"x", x_sig=SIGNED, authorization="Bearer s3cret-token"), ("PASSWORD",), ""),
        (f"{{ scheme: any, of: [{{ scheme: any, of: [{HMAC}, {QUERY}] }}, {BEARER}] }}", webhook(b"x", x_sig=SIGNED, authorization="Bearer s3cret-token"), ("KEY",), ""),
        (f"{{ scheme: any, of: [{{ scheme: any, of: [{BASIC}, {QUERY}, {SEGMENT}, {FIELD}] }}] }}", webhook(), (), "there is none of: Authorization: Basic …, the query parameter key, segment 2 of the path, the field tokén"),
    ],
)  # fmt: skip
def test_all_of_several_schemes_must_hold_also_one_within_another(scheme, sent, off, says):
    assert verdict(scheme, sent, {name: value for name, value in SECRETS.items() if name not in off}) == says


REFUSED = {
    "{ scheme: any, of: [] }": "name at least one scheme",
    "{ scheme: all, of: [] }": "name at least one scheme",
    f"{{ scheme: any, of: [{BEARER}, {{ scheme: none, because: x }}] }}": "`none` checks nothing, so it does not go with others; let it stand alone, or take it out",
    "{ scheme: all, of: [{ scheme: none, because: x }] }": "`none` checks nothing, so it does not go with others; let it stand alone, or take it out",
    "{ scheme: none, because: ' ' }": "say why this door needs no lock",
    "{ scheme: none }": "is missing",
    "{ scheme: token, token: { env: T } }": "say where the token stands: give one of header, query, segment and field",
    "{ scheme: token, token: { env: T }, header: X, query: y }": "say where the token stands: give one of header, query, segment and field",
    "{ scheme: token, token: { env: T }, segment: 0 }": "the first segment behind the provider's name is 1",
    "{ scheme: token, token: { env: T }, header: 'X:' }": "'X:' is no header's name",
    "{ scheme: bearer, token: { env: T }, header: X Y }": "'X Y' is no header's name",
    '{ scheme: bearer, token: { env: T }, prefix: "a\\n" }': "no header's value begins with 'a\\n'",
    "{ scheme: basic, username: 'a:b', password: { env: T } }": "write a name without a colon; what stands behind the first colon is the password",
    "{ scheme: basic, username: '', password: { env: T } }": "write a name without a colon; what stands behind the first colon is the password",
    "{ scheme: bearer, token: { env: T, default: x } }": "a secret has no default; set its variable or file, and take `default` away",
    "{ scheme: basic, username: a, password: { env: T, default: x } }": "a secret has no default; set its variable or file, and take `default` away",
    "{ scheme: token, header: X, token: { env: T, previous: { env: O, default: x } } }": "a secret has no default; set its variable or file, and take `default` away",
    "{ scheme: bearer, token: { env: T, decode: base64 } }": "only the key of a signature is decoded; take `decode` away",
    "{ scheme: hmac, secret: { env: T } }": "is missing",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_a_door_that_cannot_be_watched_is_a_problem_when_it_is_read(text):
    document = Document("a.yaml", f"auth: {text}")
    assert decode(document, Door) is None
    assert [problem.message for problem in document.problems] == [REFUSED[text]]


@pytest.mark.parametrize(
    "networks, inside, outside",
    [
        (["10.0.0.0/8"], ["10.0.0.0", "10.255.255.255", "::ffff:10.0.0.1", "::ffff:a00:1"], ["11.0.0.1", "::ffff:11.0.0.1", "::10.0.0.1", "", "testclient", "10.0.0.1:80"]),
        (["192.0.2.7"], ["192.0.2.7"], ["192.0.2.8"]),
        (["2001:db8::/32", "fe80::/10"], ["2001:db8::1", "2001:DB8:0:0::1", "fe80::1", "fe80::1%eth0"], ["2001:db9::1", "10.0.0.1"]),
        (["::ffff:0:0/96"], ["::ffff:10.0.0.1"], ["::1"]),
        (["::/0"], ["::1", "::ffff:10.0.0.1"], ["10.0.0.1"]),
        (["0.0.0.0/0"], ["10.0.0.1", "::ffff:10.0.0.1"], ["::1"]),
    ],
)  # fmt: skip
def test_an_address_is_allowed_that_is_in_a_network_however_it_is_written(networks, inside, outside):
    def verdict_on(client: str) -> str:
        try:
            allowed([Network.read(network) for network in networks], client)
        except Unverified as error:
            return f"{error.reason}: {error}"
        return ""

    says = "address: {} is in none of the networks in allow_from"
    assert {client: verdict_on(client) for client in inside + outside} == dict.fromkeys(inside, "") | {
        client: says.format(client or "an unknown address") for client in outside
    }
    assert verdict_on("\x1b[2J") == says.format("\\u001b[2J")


def test_what_carries_a_credential_is_named_and_a_signature_is_none():
    scheme = read(f"{{ scheme: all, of: [{HMAC}, {CUSTOM}, {BASIC}, {{ scheme: any, of: [{HEADER}, {QUERY}, {SEGMENT}] }}] }}")
    assert scheme.conceals() == (frozenset({"x-key", "authorization", "x-token"}), frozenset({"key"}))
    assert [str(reference) for reference in scheme.references()] == ["KEY", "SNOW", "PASSWORD", "TOKEN", "PASSWORD", "TOKEN"]


@pytest.mark.parametrize(
    "files",
    [
        sorted(set(Path(str(stage.__file__)).parent.glob("*.py")) - {Path(jwt.__file__), Path(sns.__file__)}),
        sorted(Path(str(signature.__file__)).parent.glob("*.py")),
    ],
    ids=["verify", "signature"],
)
def test_secrets_are_compared_in_constant_time_and_in_no_other_way(files):
    """Every `==`, `!=` and `in` is listed here: what is compared is ours, or known to the sender. Public keys are no secrets."""
    tree = ast.parse("\n".join(file.read_text() for file in files))
    kinds = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
    found = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare) and isinstance(node.ops[0], kinds)}
    assert found <= {
        "sent[:length].lower() != self.prefix.lower()", "scheme.lower() != 'basic'", "name in webhook.repeated", "':' in self.username",
        "sum((place is not None for place in (self.header, self.query, self.segment, self.field))) != 1", "key == wanted",
        "self.header.lower() in webhook.headers", "name in NAMES", "found.strip() == name", "self.split in self.prefix",
"'timestamp' in uses", "self.timestamp.header.lower() in self.covers", "self.encoding == 'hex'",
        "'{{' in literal", "'}}' in literal", "clock.header.lower() != place.header.lower()", "clock.split != place.split",
        "name in headers", "self._aliases.get(name) in headers", "self.encoding == 'base64'", "name not in headers", "other in headers",
        "self.timestamp.header.lower() == self.signature.header.lower()", "other in repeated", "len(found) != 1",
        "name.lower() in signed.repeated", "body.lstrip()[:1] == b'{'", "len(key) != LENGTH",
    }  # fmt: skip
    compared = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "hmac.compare_digest"
    ]
    assert compared
