from __future__ import annotations

import json

import pytest

from gateway.config.problems import FORMATS, Problem, as_github, as_json, as_sarif, as_text, show, spelled

SOURCE = "title: Example\nmap:\n\tsevrity: high\n"
UNKNOWN = Problem("providers.d/a.yaml", 3, 2, "unknown-key", "unknown key", "did you mean `severity`?", "map.sevrity")
WRONG = Problem("sinks.d/b.yaml", 1, 8, "type", "expected text, got a number")


def test_a_problem_prints_as_one_line_and_its_help_as_another():
    assert str(UNKNOWN) == "providers.d/a.yaml:3:2: map.sevrity: unknown key [unknown-key]\n    help: did you mean `severity`?"
    assert str(WRONG) == "sinks.d/b.yaml:1:8: expected text, got a number [type]"


def test_a_problem_is_shown_with_its_line_and_a_caret_that_tabs_do_not_move():
    assert show(UNKNOWN, SOURCE) == (
        "providers.d/a.yaml:3:2: map.sevrity: unknown key [unknown-key]\n"
        "      3 | \tsevrity: high\n"
        "        | \t^\n"
        "    help: did you mean `severity`?"
    )


def test_only_the_part_of_a_long_line_around_the_problem_is_shown():
    shown = show(Problem("a.yaml", 1, 501, "type", "expected text"), "x" * 500 + "Y" + "z" * 500)
    assert shown == (
        "a.yaml:1:501: expected text [type]\n"
        f"      1 | …{'x' * 60}Y{'z' * 59}…\n"
        f"        | {' ' * 61}^"
    )  # fmt: skip


def test_control_characters_of_a_file_do_not_reach_the_terminal():
    assert show(Problem("a.yaml", 1, 2, "type", "expected text"), "a\x1b[31mb") == (
        "a.yaml:1:2: expected text [type]\n"
        "      1 | a·[31mb\n"
        "        |  ^"
    )  # fmt: skip


def test_a_secret_that_stands_in_a_file_is_not_shown():
    shown = show(Problem("a.yaml", 1, 9, "secret", "expected where a value is kept, got text"), "secret: hunter2")
    assert shown == (
        "a.yaml:1:9: expected where a value is kept, got text [secret]\n"
        "      1 | secret: ***\n"
        "        |         ^"
    )  # fmt: skip


@pytest.mark.parametrize(
    "line,shown",
    [
        ("auth: { scheme: bearr, token: hunter2 }", "auth: { scheme: bearr, token: *** }"),
        ('headers: { Authorization: "Bearer hunter2", X-A: b }', "headers: { Authorization: ***, X-A: b }"),
        ('api_key: "hunter2', "api_key: ***"),
        ("DB_PASSWORD: hunter2 # for now", "DB_PASSWORD: *** # for now"),
        ("store: postgresql://gateway:hunter2@db.example/x", "store: postgresql://gateway:***@db.example/x"),
        # and what only sounds like a secret is shown
        ("token: { env: EXAMPLE_TOKEN }", "token: { env: EXAMPLE_TOKEN }"),
        ('Authorization: "Splunk {{ secrets.token }}"', 'Authorization: "Splunk {{ secrets.token }}"'),
        ("dedup_key: fingerprint", "dedup_key: fingerprint"),
        ("secrets_dir: /run/secrets", "secrets_dir: /run/secrets"),
        ("url: https://a.example:8088/x@y", "url: https://a.example:8088/x@y"),
    ],
)
def test_a_secret_beside_something_else_that_is_wrong_is_not_shown(line: str, shown: str):
    assert show(Problem("a.yaml", 1, 1, "type", "wrong"), line) == f"a.yaml:1:1: wrong [type]\n      1 | {shown}\n        | ^"


def test_the_caret_stays_in_its_place_behind_a_secret_and_moves_to_the_front_of_one():
    for column, caret in [(8, 7), (9, 8), (17, 12), (18, 13)]:
        shown = show(Problem("a.yaml", 1, column, "type", "wrong"), "{token: hunter2, xs: 1}")
        assert shown.splitlines()[1:] == ["      1 | {token: ***, xs: 1}", f"        | {' ' * caret}^"]


@pytest.mark.parametrize("source", ["", "\n", "one line"])
def test_a_line_that_is_not_there_is_not_shown(source: str):
    line = 1 if not source.strip() else 2
    assert show(Problem("a.yaml", line, 1, "type", "wrong"), source) == f"a.yaml:{line}:1: wrong [type]"


@pytest.mark.parametrize(
    "path,text",
    [
        ((), ""),
        (("map", "severity"), "map.severity"),
        (("cases", 0, "when"), "cases[0].when"),
        ((0, "a"), "[0].a"),
        (("table", "4..6.9"), 'table["4..6.9"]'),
        (("table", "a b\n"), 'table["a b\\n"]'),
        (("table", ""), 'table[""]'),
    ],
)
def test_a_path_is_spelled_as_people_write_it(path: tuple[str | int, ...], text: str):
    assert spelled(path) == text


def test_problems_are_sorted_by_where_they_stand():
    assert sorted([WRONG, UNKNOWN]) == [UNKNOWN, WRONG]


def test_text_shows_the_lines_of_the_files_it_is_given():
    assert as_text([UNKNOWN, WRONG], {"providers.d/a.yaml": SOURCE}) == f"{show(UNKNOWN, SOURCE)}\n\n{WRONG}"


def test_json_is_a_list_of_objects():
    assert json.loads(as_json([UNKNOWN], {})) == [
        {
            "file": "providers.d/a.yaml",
            "line": 3,
            "column": 2,
            "rule": "unknown-key",
            "message": "unknown key",
            "hint": "did you mean `severity`?",
            "path": "map.sevrity",
        }
    ]


def test_github_commands_are_escaped():
    # actions/toolkit, packages/core/src/command.ts: escapeData and escapeProperty.
    problem = Problem("a,b:c%.yaml", 1, 2, "value", "100% wrong\r\nhere", "mend: it, now")
    assert as_github([problem, WRONG], {}) == (
        "::error file=a%2Cb%3Ac%25.yaml,line=1,col=2::100%25 wrong%0D%0Ahere [value]%0A    help: mend: it, now\n"
        "::error file=sinks.d/b.yaml,line=1,col=8::expected text, got a number [type]"
    )


def test_sarif_has_what_code_scanning_needs():
    # SARIF 2.1.0 (OASIS): sections 3.13 sarifLog, 3.14 run, 3.27 result, 3.29 physicalLocation.
    assert json.loads(as_sarif([UNKNOWN, Problem("a b.yaml", 1, 1, "type", "wrong")], {})) == {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "gateway", "rules": [{"id": "type"}, {"id": "unknown-key"}]}},
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(
                        "unknown-key", "map.sevrity: unknown key\nhelp: did you mean `severity`?", "providers.d/a.yaml", 3, 2
                    ),
                    _result("type", "wrong", "a%20b.yaml", 1, 1),
                ],
            }
        ],
    }


def _result(rule: str, text: str, uri: str, line: int, column: int) -> dict[str, object]:
    location = {"artifactLocation": {"uri": uri}, "region": {"startLine": line, "startColumn": column}}
    return {"ruleId": rule, "level": "error", "message": {"text": text}, "locations": [{"physicalLocation": location}]}


@pytest.mark.parametrize("name,empty", [("text", ""), ("json", "[]"), ("github", "")])
def test_no_problems_print_nothing(name: str, empty: str):
    assert FORMATS[name]([], {}) == empty


def test_sarif_without_problems_is_a_run_without_results():
    assert json.loads(as_sarif([], {}))["runs"][0]["results"] == []
