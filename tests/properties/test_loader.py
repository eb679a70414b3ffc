"""Whatever a file holds, reading it gives a thing or problems: no exception, not for long, and each problem can be found and read."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.decode import decode
from gateway.config.files import KINDS
from gateway.config.problems import Problem, as_text, lines_of
from gateway.config.rules import lint
from gateway.config.schema import Settings
from gateway.config.yaml import LARGEST, Document

ROOT = Path(__file__).parents[2]
SHIPPED = {file.relative_to(ROOT).as_posix(): file.read_text() for kind in KINDS for file in sorted((ROOT / kind).glob("*.yaml"))}
GRAMMARS = [*KINDS.values(), Settings]
LONGEST = 5.0  # seconds for a file of the largest size, on a machine that is busy with other things
CANARY = "hunter2hunter2"


def load(data: str | bytes, grammar: type) -> Document:
    document = Document("a.yaml", data)
    thing = decode(document, grammar)
    assert (thing is None) == bool(document.problems)
    if thing is not None:
        lint(document, thing)
    return document


def assert_legible(document: Document) -> None:
    lines = lines_of(document.text)
    for problem in document.problems:
        assert problem.file == "a.yaml"
        assert 1 <= problem.line <= len(lines), problem
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", problem.rule), problem
        assert problem.message
        assert all(part.isprintable() for part in (problem.message, problem.hint, problem.path)), problem
        assert len(problem.message) <= 500, problem
    shown = as_text(document.problems, {"a.yaml": document.text})
    assert all(letter in "\n\t" or letter.isprintable() for letter in shown)


# Pieces of our own language, so that random text gets past the YAML parser and past the first key.
WORDS = "title auth map let cases request scheme hmac env when from table json tests name 1e999 0o17 ~ yes $.a $..[ ${HOME} */*"
SIGNS = ": |:|\n|\n  |\n- |- |{|}|[|]|, |\"|'|# |\t|---\n|&a |*a|!x |<<|{{ item.a| }}|{% if|{# |\xa0|\x85|\ufeff|\u2028|\x1b|\ud800|ß|😀"
PIECES = st.sampled_from([*WORDS.split(), *SIGNS.split("|"), "|\n", "| table('a')"])
ANY_TEXT = st.lists(PIECES | st.text(max_size=4), max_size=40).map("".join)


@given(ANY_TEXT, st.sampled_from(GRAMMARS))
def test_any_text_gives_a_thing_or_problems_that_can_be_found(text: str, grammar: type):
    assert_legible(load(text, grammar))


@given(st.binary(max_size=200) | ANY_TEXT.map(lambda text: text.encode("utf-16", "surrogatepass")), st.sampled_from(GRAMMARS))
def test_any_bytes_give_a_thing_or_problems_that_can_be_found(data: bytes, grammar: type):
    assert_legible(load(data, grammar))


SCALARS = """; 5; yes; null; []; {}; text; {{ item.x }}; "{{ itm.x }}"; "{{ item. }}"; "{{ x() }}"; $.a-b; $..*; "$.a[?(@.b)]"; |
{ from: $.x }; { env: A, file: B }; [[[]]]; 99999999999999999999999; .nan; *x; &x y; >-"""
VALUES = st.sampled_from(SCALARS.split("; "))


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, type]:
    """A shipped file that somebody has edited in a hurry, up to four times."""
    name = draw(st.sampled_from(sorted(SHIPPED)))
    lines = SHIPPED[name].splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 7)):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(other, lines[at])
            case 2:  # two scalars change places
                (key, _, value), (key_, _, value_) = lines[at].partition(": "), lines[other].partition(": ")
                lines[at], lines[other] = f"{key}: {value_}", f"{key_}: {value}"
            case 3:
                lines[at] = f"{lines[at].partition(': ')[0]}: {draw(VALUES)}"
            case 4:
                lines[at] = draw(st.sampled_from([" ", "  ", "\t", "- ", "# "])) + lines[at]
            case 5:  # a list or mapping deep within itself
                opening, closing = draw(st.sampled_from([("[", "]"), ("{a: ", "}"), ("[{a: ", "}]")]))
                depth = draw(st.integers(1, 60))
                lines[at] = f"{lines[at].partition(': ')[0]}: {opening * depth}x{closing * depth}"
            case 6:
                column = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:column] + draw(PIECES) + lines[at][column:]
            case _:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return "\n".join(lines), KINDS[name.partition("/")[0]]


@settings(deadline=timedelta(seconds=LONGEST))
@given(mutated())
def test_a_shipped_file_edited_in_a_hurry_gives_a_thing_or_problems_that_can_be_found(file: tuple[str, type]):
    assert_legible(load(*file))


NO_SECRETS = ("_ISSUER", "_AUDIENCE", "_KEYS", "_TOPICS", "_EMAIL")  # these may stand in a file as they are


@settings(deadline=timedelta(seconds=LONGEST))
@given(st.sampled_from(sorted(SHIPPED)), st.data())
def test_a_secret_pasted_where_a_reference_stood_is_in_no_message(name: str, data: st.DataObject):
    references = [found for found in re.finditer(r"\{ env: ([A-Z0-9_]+) \}", SHIPPED[name]) if not found[1].endswith(NO_SECRETS)]
    if not references:
        return
    found = data.draw(st.sampled_from(references))
    pasted = data.draw(
        st.sampled_from([CANARY, f'"{CANARY}"', f"{{ value: {CANARY} }}", f"{{ env: {CANARY}-x }}", f"[{CANARY}]"])
    )
    text = SHIPPED[name][: found.start()] + pasted + SHIPPED[name][found.end() :]
    document = load(text, KINDS[name.partition("/")[0]])
    assert document.problems
    assert CANARY not in as_text(document.problems, {"a.yaml": text})


def filled(unit: str) -> str:
    return unit * (LARGEST // len(unit.encode()) - 1)


NAMED = """
title: x
auth: { scheme: none, because: it is a test }
map:
  action: { default: trigger }
  severity: { default: error }
  summary: x
  dedup_key: $.x
  details:
"""
LARGE = {
    "nested lists": filled("["),
    "nested mappings": filled("{a: "),
    "nested blocks": "\n".join(" " * depth + "a:" for depth in range(1400)),
    "many keys": "".join(f"k{number}: 1\n" for number in range(45_000)),
    "many equal keys": filled("a: 1\n"),
    "many entries": f"redact: [{filled('x,')[:900_000]}]",
    "many documents": filled("---\n"),
    "one long text": f"title: {filled('x')}",
    "one long template": f'title: x\nmap: {{ summary: "{"{{ item.a }}" * 80_000}" }}',
    "one deep template": f'title: x\nmap: {{ summary: "{{{{ {"(" * 10_000}1{")" * 10_000} }}}}" }}',
    "one long path": f"title: x\nmap: {{ summary: $.{'a.' * 400_000}a }}",
    "one wide path": f'title: x\nmap: {{ summary: "$[{"0," * 200}0 x]" }}',
    "many spaces behind a key": f"token: x{filled(' ')[:900_000]}\n  }}",
    "many anchors": filled("- &a x\n"),
    "many wrong names": NAMED + "".join(f'    k{number}: "{{{{ nme{number} }}}}"\n' for number in range(1_000)),
    "many long names": "map:\n" + "".join(f"  {'severity' * 100}{number}: 1\n" for number in range(1_000)),
    "a long list of digits": f"retry: {{ attempts: {'9' * 1_000_000} }}",
}


@pytest.mark.parametrize("what", LARGE)
def test_the_largest_file_is_read_or_refused_at_once(what: str):
    for grammar in GRAMMARS:
        begin = time.perf_counter()
        document = load(LARGE[what], grammar)
        assert_legible(document)
        assert document.problems
        assert time.perf_counter() - begin < LONGEST


def test_the_shipped_files_have_no_problems():
    assert {name: load(text, KINDS[name.partition("/")[0]]).problems for name, text in SHIPPED.items()} == {
        name: list[Problem]() for name in SHIPPED
    }
