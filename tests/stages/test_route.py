"""Which events are wanted."""

import pytest

from gateway.model import Event
from gateway.stages.route import Match
from gateway.values import Pattern

AT = "2026-03-12T08:00:00.000Z"


def event(**more):
    fields = {"provider": "prom", "project": "acme", "type": "alert", "action": "trigger", "severity": "error"}
    labels = {"env": "production", "team": "web-1"}
    return Event(**{"id": "e", "summary": "s", "occurred_at": AT, "received_at": AT, "labels": labels} | fields | more)


def match(**keys):
    for name in ("provider", "project", "type"):
        if name in keys:
            keys[name] = [Pattern.read(text) for text in keys[name]]
    keys["labels"] = {name: [Pattern.read(text) for text in texts] for name, texts in keys.get("labels", {}).items()}
    return Match(**keys)


HOLDS = [
    ({}, {}, True),
    ({"provider": ["grafana", "prom"]}, {}, True),
    ({"provider": ["pro"]}, {}, False),
    ({"provider": ["PROM"]}, {}, False),
    ({"provider": ["pro?", "x*"]}, {}, True),
    ({"project": ["acme"]}, {}, True),
    ({"project": ["acme"]}, {"project": ""}, False),
    ({"project": ["*"]}, {"project": ""}, True),
    ({"type": ["al*"], "provider": ["prom"]}, {}, True),
    ({"type": ["al*"], "provider": ["grafana"]}, {}, False),
    ({"severity": ["critical", "error"]}, {}, True),
    ({"severity": ["critical"]}, {}, False),
    ({"severity": []}, {}, False),
    ({"min_severity": "warning"}, {"severity": "info"}, False),
    ({"min_severity": "warning"}, {"severity": "warning"}, True),
    ({"min_severity": "warning"}, {"severity": "critical"}, True),
    ({"min_severity": "error", "severity": ["info", "critical"]}, {}, False),
    ({"labels": {"env": ["staging", "production"]}}, {}, True),
    ({"labels": {"env": ["prod*"], "team": ["web-*"]}}, {}, True),
    ({"labels": {"env": ["prod*"], "team": ["db-*"]}}, {}, False),
    ({"labels": {"absent": ["*"]}}, {}, False),
    ({"labels": {"env": ["*"]}}, {"labels": {"env": "two\nlines"}}, True),
]


@pytest.mark.parametrize(("keys", "more", "expected"), HOLDS)
def test_every_key_must_hold_and_one_value_of_its_list_is_enough(keys, more, expected):
    assert match(**keys).holds(event(**more)) is expected


@pytest.mark.parametrize("keys", [{"severity": ["critical"]}, {"min_severity": "critical"}, {"labels": {"env": ["staging"]}}])
@pytest.mark.parametrize(
    ("action", "expected"), [("trigger", False), ("notice", False), ("acknowledge", True), ("resolve", True)]
)
def test_severity_and_labels_decide_on_triggers_and_notices_only(keys, action, expected):
    assert match(**keys).holds(event(action=action)) is expected


@pytest.mark.parametrize("keys", [{"provider": ["x"]}, {"project": ["x"]}, {"type": ["x"]}])
@pytest.mark.parametrize("action", ["trigger", "notice", "acknowledge", "resolve"])
def test_provider_project_and_type_decide_on_every_action(keys, action):
    assert match(**keys).holds(event(action=action)) is False


def test_an_action_is_wanted_unless_others_are_named():
    assert [Match().wants("resolve"), Match(action=["trigger"]).wants("resolve"), Match(action=["resolve"]).wants("resolve")] == [
        True,
        False,
        True,
    ]
