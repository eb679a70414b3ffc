from __future__ import annotations

from gateway.config.inherit import merge
from gateway.config.yaml import Document

PARENT = """\
title: Parent
auth:
  scheme: hmac
  secret: { env: PARENT }
  signature: { header: X-Signature, prefix: "sha256=" }
map:
  severity:
    from: $.level
    table: { high: critical, low: info }
  summary: $.title
methods: [POST, GET]
tests:
  - name: the parent's
"""


def child_of(parent: str, child: str) -> Document:
    return merge(Document("child.yaml", child), Document("parent.yaml", parent))


def test_mappings_merge_and_lists_and_texts_replace():
    merged = child_of(
        PARENT, "like: parent\ntitle: Child\nmap: { severity: { table: { high: error } } }\nmethods: [PUT]\nproject: acme\n"
    )
    assert merged.problems == []
    assert list(merged.data) == ["title", "auth", "map", "methods", "like", "project"]
    assert merged.data == {
        "title": "Child",
        "auth": {"scheme": "hmac", "secret": {"env": "PARENT"}, "signature": {"header": "X-Signature", "prefix": "sha256="}},
        "map": {"severity": {"from": "$.level", "table": {"high": "error", "low": "info"}}, "summary": "$.title"},
        "methods": ["PUT"],
        "like": "parent",
        "project": "acme",
    }


def test_a_mapping_with_a_tag_replaces_the_parents_whole():
    merged = child_of(PARENT, "like: parent\nauth: { scheme: bearer, token: { env: CHILD } }\n")
    assert merged.data["auth"] == {"scheme": "bearer", "token": {"env": "CHILD"}}


def test_a_tag_replaces_even_where_it_is_the_same():
    merged = child_of(PARENT, "like: parent\nauth: { scheme: hmac, secret: { env: CHILD } }\n")
    assert merged.data["auth"] == {"scheme": "hmac", "secret": {"env": "CHILD"}}


def test_a_mapping_without_its_tag_adds_to_the_parents():
    merged = child_of(PARENT, "like: parent\nauth: { signature: { prefix: 'v1=' } }\n")
    assert merged.data["auth"] == {
        "scheme": "hmac",
        "secret": {"env": "PARENT"},
        "signature": {"header": "X-Signature", "prefix": "v1="},
    }


def test_a_reference_replaces_the_parents_whole():
    merged = child_of(PARENT, "like: parent\nauth: { secret: { file: child } }\n")
    assert merged.data["auth"]["secret"] == {"file": "child"}


def test_a_label_called_env_is_no_reference():
    merged = child_of("map: { labels: { env: $.env, host: $.host } }\n", "like: parent\nmap: { labels: { env: $.stage } }\n")
    assert merged.data["map"] == {"labels": {"env": "$.stage", "host": "$.host"}}


def test_a_mapping_and_a_text_replace_each_other():
    merged = child_of(PARENT, "like: parent\nmap: { severity: $.x, summary: { from: $.y } }\n")
    assert merged.data["map"] == {"severity": "$.x", "summary": {"from": "$.y"}}


def test_the_parents_tests_are_its_own():
    assert "tests" not in child_of(PARENT, "like: parent\n").data
    assert child_of(PARENT, "like: parent\ntests: [{ name: mine }]\n").data["tests"] == [{"name": "mine"}]


def test_each_part_stands_in_the_file_it_came_from():
    merged = child_of(PARENT, "like: parent\nmap:\n  summary: $.name\n  url: $.url\n")
    merged.report(("map", "summary"), "value", "the child's")
    merged.report(("map", "severity", "table", "high"), "value", "the parent's")
    merged.report(("title",), "value", "the parent's key", key=True)
    merged.report(("map", "labels"), "missing-key", "nobody's")
    assert [str(problem) for problem in merged.problems] == [
        "child.yaml:3:12: map.summary: the child's [value]",
        "parent.yaml:9:20: map.severity.table.high: the parent's [value]",
        "parent.yaml:1:1: title: the parent's key [value]",
        "child.yaml:3:3: map.labels: nobody's [missing-key]",
    ]
    assert (merged.file, merged.file_at(("auth",)), merged.at(("auth",))) == ("child.yaml", "parent.yaml", (3, 3))


def test_what_a_child_replaces_no_longer_stands_in_the_parents_file():
    merged = child_of(PARENT, "like: parent\nauth: { scheme: hmac }\n")
    merged.report(("auth", "secret"), "missing-key", "is missing")
    assert str(merged.problems[0]) == "child.yaml:2:7: auth.secret: is missing [missing-key]"


def test_neither_document_is_changed():
    parent, child = Document("parent.yaml", PARENT), Document("child.yaml", "like: parent\nmap: { summary: $.x }\n")
    before = (repr(parent.data), repr(child.data), dict(parent.values), dict(child.values))
    merge(child, parent)
    assert (repr(parent.data), repr(child.data), parent.values, child.values) == before


def test_the_childs_problems_are_kept():
    merged = child_of(PARENT, "like: parent\ntitle: a\ntitle: b\n")
    assert [str(problem) for problem in merged.problems] == [
        "child.yaml:3:1: title: given twice, first at 2:1 [duplicate-key]\n    help: keep one of the two"
    ]


def test_only_one_level_is_followed():
    merged = child_of("like: grandparent\ntitle: x\n", "title: y\nlike: parent\n")
    assert [str(problem) for problem in merged.problems] == [
        (
            "child.yaml:2:7: like: `parent` is itself like another, and only one level is followed [like]\n"
            "    help: say `like: grandparent`, or write what `parent` changes here too"
        )
    ]
    assert merged.broken


def test_a_parent_that_cannot_be_read_is_a_problem_of_the_child():
    for parent in ("a: *x", "- a", "text"):
        merged = child_of(parent, "title: y\nlike: parent\n")
        assert [str(problem) for problem in merged.problems] == [
            "child.yaml:2:7: like: `parent` cannot be read [like]\n    help: mend parent.yaml first"
        ]
        assert merged.broken


def test_a_child_that_cannot_be_read_stays_as_it_is():
    merged = child_of(PARENT, "like: parent\nauth: [a\n")
    assert [str(problem) for problem in merged.problems] == [
        "child.yaml:2:7: `[` is never closed [syntax]\n    help: end it with `]`"
    ]
