"""A word turned into a word: which row of a table speaks, and what is said where none does."""

import re

import pytest

from gateway.expr import Inbound
from gateway.stages.words import ActionLookup, Lookup, SeverityLookup

STATES = {
    "firing": "trigger",
    "OK": "resolve",
    "3": "acknowledge",
    "true": "notice",
    "false": "ignore",
    "re-*": "resolve",
    "re-fired": "trigger",
    "?own": "trigger",
    "*": "notice",
}
LEVELS = {"..3.9": "info", "4..6.9": "warning", "7..": "critical", "-1..4": "error", "p[1]*": "error", "none": "info"}


def whole(message):
    return f"^{re.escape(message)}$"


def look(kind, table, found, **more):
    return kind(from_=Inbound.read("$.word"), table=table, **more)({"item": {"word": found}})


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ("firing", "trigger"),
        ("  FIRING\n", "trigger"),
        ("ok", "resolve"),
        (3, "acknowledge"),
        (3.0, "acknowledge"),
        ("3", "acknowledge"),
        (True, "notice"),
        (False, "ignore"),
        ("true", "notice"),
        ("re-solved", "resolve"),
        ("RE-FIRED", "trigger"),  # an exact row speaks before a wildcard that stands above it
        ("down", "trigger"),
        ("Own", "notice"),  # ? is one character, not none
        ("gone down\nagain", "notice"),
    ],
)
def test_a_word_finds_its_exact_row_and_else_the_first_that_fits(found, word):
    assert look(ActionLookup, STATES, found) == word


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (3.9, "info"),
        ("-12", "info"),
        (3.95, "error"),  # between the first two ranges, in one further below
        (4, "warning"),  # in two ranges: the upper row
        ("6.90", "warning"),
        (7, "critical"),
        ("1e2", "critical"),
        (10**30, "critical"),
        ("None", "info"),
        ("P[1] high", "error"),
    ],
)
def test_a_number_finds_the_first_range_that_holds_it_ends_included(found, word):
    assert look(SeverityLookup, LEVELS, found) == word


@pytest.mark.parametrize("found", ["6.95", "nan", "inf", "infinity", "7_0", "\u0667", "0x7", "7 days", ".."])
def test_what_only_resembles_a_number_is_in_no_range(found):
    with pytest.raises(ValueError, match=whole(f"{found!r} is in no row of the table, and there is no default")):
        look(SeverityLookup, LEVELS, found)


@pytest.mark.parametrize(
    ("found", "more", "word"),
    [
        (None, {"absent": "warning", "default": "error"}, "warning"),
        ("", {"absent": "warning", "default": "error"}, "warning"),
        (" \t", {"absent": "warning", "default": "error"}, "warning"),
        (None, {"default": "error"}, "error"),
        ("new", {"absent": "warning", "default": "error"}, "error"),
        ("none", {"absent": "warning", "default": "error"}, "info"),
        (0, {"absent": "warning"}, "info"),
    ],
)
def test_absent_stands_for_nothing_found_and_default_for_a_word_in_no_row(found, more, word):
    assert look(SeverityLookup, LEVELS, found, **more) == word


@pytest.mark.parametrize(
    ("found", "more", "message"),
    [
        (None, {}, "$.word finds nothing, and there is no `absent`"),
        ("new", {"absent": "notice"}, "'new' is in no row of the table, and there is no default"),
        ("x" * 200, {}, f"'{'x' * 80}' is in no row of the table, and there is no default"),
        ({"a": 1}, {"default": "notice"}, "$.word finds a mapping, and a word is wanted; say which part of it"),
        (["firing"], {"default": "notice"}, "$.word finds a list, and a word is wanted; say which part of it"),
        ([], {"absent": "notice"}, "$.word finds a list, and a word is wanted; say which part of it"),
    ],
)
def test_what_gives_no_word_is_said_with_the_reason(found, more, message):
    with pytest.raises(ValueError, match=whole(message)):
        look(ActionLookup, {"firing": "trigger"}, found, **more)


def test_a_constant_needs_no_look_up():
    assert ActionLookup(default="notice")({}) == "notice"


def test_a_look_up_may_give_anything_that_yaml_holds():
    assert look(Lookup, {"a": {"team": [1]}}, "A") == {"team": [1]}
    assert look(Lookup, {"a": False}, "a") is False


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "give `from` (with a table), or `default` alone for a constant"),
        ({"from_": Inbound.read("$.a"), "table": {"<= 3": "resolve"}}, "'<= 3' is no range; write '..3', ends included"),
        ({"from_": Inbound.read("$.a"), "table": {">7.5": "resolve"}}, "'>7.5' is no range; write '7.5..', ends included"),
        ({"from_": Inbound.read("$.a"), "table": {"7..3": "resolve"}}, "'7..3' holds nothing; write the smaller number first"),
        (
            {"from_": Inbound.read("$.a"), "table": {"OK": "resolve", "ok": "resolve"}},
            "two rows of the table differ only in upper and lower case, which do not count",
        ),
    ],
)
def test_a_look_up_that_cannot_work_is_refused_when_it_loads(keys, message):
    with pytest.raises(ValueError, match=whole(message)):
        ActionLookup(**keys)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"from": "$.a"}, "give a `table` for what `from` finds"),
        ({"from": "$.a", "tabel": {}}, "unknown key 'tabel'; a look-up has from, table, absent and default"),
    ],
)
def test_a_look_up_in_let_is_read_with_the_same_care(data, message):
    with pytest.raises(ValueError, match=whole(message)):
        Lookup.read(data)


@pytest.mark.parametrize(
    ("kind", "word", "expected"),
    [
        (ActionLookup, "Trigger", "trigger"),
        (ActionLookup, "ignore", "ignore"),
        (SeverityLookup, "CRITICAL", "critical"),
        (SeverityLookup, None, "warning"),
    ],
)
def test_without_a_table_the_provider_says_our_own_words(kind, word, expected):
    absent = {"absent": "warning"} if kind is SeverityLookup else {}
    assert kind(from_=Inbound.read("$.a"), **absent)({"item": {"a": word}}) == expected


def test_a_word_in_no_row_is_shown_as_it_was_sent():
    with pytest.raises(ValueError, match=r"^'ALERT_New' is in no row of the table, and there is no default$"):
        SeverityLookup(from_=Inbound.read("$.a"))({"item": {"a": " ALERT_New "}})
