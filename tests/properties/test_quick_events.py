"""A case's generated function gives the event that its fields give one by one, or raises something, and then they are asked."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import convert

from gateway.config import load
from gateway.config.schema import Provider
from gateway.errors import Unmappable
from gateway.expr import ExpressionError
from gateway.model import Webhook
from gateway.stages.decode import scope_of
from gateway.stages.mapping import Case, items
from gateway.stages.mapping.fields import event_of

RECEIVED_AT = "2026-03-12T08:24:38.326Z"
WEBHOOK = Webhook(
    id="w",
    provider="p",
    received_at=datetime(2026, 3, 12, 8, 24, 38, 326000, UTC),
    headers={"x-kind": "alert"},
    query={"team": "blue"},
)
PROVIDERS = load(None, {}, tests=True).providers
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.sampled_from(
        ["", " ", "a  b", "CRITICAL", " critical ", "firing", "true", "0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z"]
    ),
    st.sampled_from(["2026-03-12T08:24:38.100Z", "2026-03-12T08:24:38.000Z", "2026-03-12 08:24:38", "x" * 70_000]),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3) | st.integers(), max_size=3),
)


def places(node: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield where
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, (*where, key))


def put(node: Any, where: tuple[Any, ...], value: Any) -> Any:
    """The document with another value there; "gone" takes it away."""
    if not where:
        return value
    node = copy.deepcopy(node)
    inner = node
    for key in where[:-1]:
        inner = inner[key]
    if value == "gone":
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    return node


def one_by_one(case: Case, scope: dict[str, Any]) -> Any:
    try:
        return event_of(case, scope, WEBHOOK, "project", 3, RECEIVED_AT)
    except (Unmappable, ExpressionError):
        return "refused"


def compare(case: Case, scope: dict[str, Any]) -> bool:
    """Whether the generated function had an answer; it must be the fields' own."""
    try:
        quick = case.quick(scope, WEBHOOK, "project", 3, RECEIVED_AT)
    except Exception:  # noqa: BLE001 - whatever it raises, the fields are asked
        return False
    assert repr(quick) == repr(one_by_one(case, scope))
    return True


def told(provider: Provider, payload: Any) -> list[tuple[Case, dict[str, Any]]]:
    try:
        scopes = [provider.filled(scope_of(WEBHOOK, payload) | {"tables": provider.tables})]
        return [(case, scope) for case, scope in items.items_of(provider, scopes) if case is not None]
    except ExpressionError:
        return []


SAMPLES = [
    (name, payload)
    for name, provider in sorted(PROVIDERS.items())
    for test in provider.tests
    if isinstance(payload := test.webhook.payload, dict | list)
]


@pytest.mark.parametrize("name", sorted({name for name, _ in SAMPLES}))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_quick_event_is_the_event_of_the_fields_one_by_one(name, data):
    payload = data.draw(st.sampled_from([payload for provider, payload in SAMPLES if provider == name]))
    for _ in range(data.draw(st.integers(0, 3))):
        where = data.draw(st.sampled_from(list(places(payload))))
        payload = put(payload, where, data.draw(ODD | st.just("gone")) if where else data.draw(ODD))
    for case, scope in told(PROVIDERS[name], payload):
        compare(case, scope)


@pytest.mark.parametrize("name", sorted({name for name, _ in SAMPLES}))
def test_what_every_shipped_file_says_of_its_own_webhooks_is_quick(name):
    cases = [each for provider, payload in SAMPLES if provider == name for each in told(PROVIDERS[name], payload)]
    usual = [(case, scope) for case, scope in cases if one_by_one(case, scope) != "refused"]
    slow = [scope["item"] for case, scope in usual if not compare(case, scope)]
    assert len(slow) <= len(usual) // 4, slow


EVERYTHING = """
let:
  kind: { from: "{{ item.kind }}", table: { a: b, "re-*": c }, absent: none, default: other }
  parts: { one: $.a, two: "{{ item.b ~ '/' ~ kind }}", three: [$.c, "x"], four: 4 }
  asked: "{% for each in item.list %}{{ each }}{% endfor %}"
map:
  action: { from: $.status, table: { firing: trigger, resolved: resolve, quiet: ignore }, default: notice }
  dedup_key: "{{ item.id or parts.one }}"
  severity: { default: warning }
  summary: "{{ kind }}: {{ item.title }}"
  type: constant
  source: "{{ headers['x-kind'] }}"
  url: "{{ 'https://x/' ~ query.team }}"
  occurred_at: $.at
  labels: { kind: "{{ kind }}", asked: "{{ asked }}", n: "{{ item.n }}" }
  details: { parts: "{{ parts }}", list: [$.a, "{{ item.n }}"], fixed: true }
"""


def everything() -> Provider:
    return convert(
        yaml.safe_load(EVERYTHING) | {"title": "x", "auth": {"scheme": "none", "because": "a test"}},
        Provider,
        dec_hook=lambda kind, data: kind.read(data),
    )


def test_with_every_construct_of_the_grammar_it_is_quick():
    usual = {"title": "t", "id": "1", "status": "firing", "kind": "re-1", "b": "b", "list": ["l"], "n": 4, "at": 1773303878}
    ((case, scope),) = told(everything(), usual)
    assert compare(case, scope)
    assert case.quick(scope, WEBHOOK, "project", 3, RECEIVED_AT).summary == "c: t"


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(["kind", "a", "b", "c", "list", "status", "id", "title", "at", "n"], ODD)),
    st.sampled_from(["firing", "Firing", "resolved", "quiet", "odd"]),
)
def test_every_construct_of_the_grammar_gives_the_event_of_the_fields(item, status):
    for case, scope in told(everything(), {"title": "t", "id": "1", "status": status} | item):
        compare(case, scope)
