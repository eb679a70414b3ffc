"""
What is wrong with a file, as data: where, which rule, what, and how to mend it. Printed for people, programs, GitHub and SARIF.

To add a way of printing: a function from problems to text, and its name in `FORMATS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from msgspec import Struct, structs

Step = str | int
Place = tuple[Step, ...]  # the way from the document's root to a value: keys and indices
Sources = Mapping[str, str]  # file name to its text, for showing the line that is wrong

WIDEST = 120  # characters of a source line that are shown
SEALED = "secret"  # the rule whose source line may hold a secret: it is shown only up to where that begins

# A line is shown because of something else that is wrong in it, and a secret may have been pasted beside that. What begins as a
# mapping, a path or a template is where a secret is kept, not the secret.
_WRITTEN_OUT = re.compile(
    r"""(?ix) (?<![\w-])
    (?: [\w-]* (?: token | secret | passw(?:or)?d | credential | api_?key | private_?key ) | key | authorization )
    ["']? \s* : \s+ (?P<value> "[^"{]*(?:"|$) | '[^'{]*(?:'|$) | [^\s,{}\[\]$*&!|>"'\#] (?:[^,{}\[\]\#]*[^\s,{}\[\]\#])? )"""
)

_IN_A_URL = re.compile(r"://[^\s/@:]*:(?P<value>[^\s/@]+)@")


class Problem(Struct, frozen=True, order=True):
    """
    One thing wrong with one file, where a person can find it.

    `line` and `column` count from 1, columns in characters. `rule` is one bounded word. `hint` says how to mend it.
    `path` says the same place in the document's words, as in `map.severity.table`; it is empty for the whole document.
    """

    file: str
    line: int
    column: int
    rule: str
    message: str
    hint: str = ""
    path: str = ""

    @property
    def sentence(self) -> str:
        """The message with the place in the document before it."""
        return f"{self.path}: {self.message}" if self.path else self.message

    def __str__(self) -> str:
        return _headed(self) + _helped(self)


def spelled(path: Place) -> str:
    """A path as people write it: `cases[0].map.severity.table["4..6.9"]`."""
    text = ""
    for step in path:
        if isinstance(step, str) and re.fullmatch(r"[\w@/-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{step}]" if isinstance(step, int) else f'["{legible(step)}"]'
    return text


def legible(text: str, most: int = 80) -> str:
    """Text from a file, fit for a terminal: one line, no control characters, not longer than `most`."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


@lru_cache(8)
def lines_of(text: str) -> tuple[str, ...]:
    """The lines as YAML counts them."""
    return (*re.split("\r\n|[\r\n\x85\u2028\u2029]", text),)


def show(problem: Problem, source: str) -> str:
    """The problem with the line it stands in and a caret under the place."""
    lines = lines_of(source)
    if not source.strip() or not 0 < problem.line <= len(lines):
        return str(problem)
    line, indent = _excerpt(lines[problem.line - 1], problem.column, sealed=problem.rule == SEALED)
    gutter = f"{problem.line:>7} | "
    caret = f"{'':>7} | {indent}^"
    return f"{_headed(problem)}\n{gutter}{line}\n{caret}{_helped(problem)}"


def _headed(problem: Problem) -> str:
    return f"{problem.file}:{problem.line}:{problem.column}: {problem.sentence} [{problem.rule}]"


def _helped(problem: Problem) -> str:
    return f"\n    help: {problem.hint}" if problem.hint else ""


def _excerpt(line: str, column: int, *, sealed: bool) -> tuple[str, str]:
    """The part of a line around a column, and what stands before its caret. Tabs stay tabs, to keep the caret in its place."""
    at = min(column - 1, len(line))
    line, at = _without_secrets(line, at)
    start = max(0, at - WIDEST // 2) if len(line) > WIDEST else 0
    shown = "".join(c if c == "\t" or c.isprintable() else "·" for c in line[start : start + WIDEST])
    before, after = shown[: at - start], "***" if sealed else shown[at - start :]
    before = f"…{before}" if start else before
    after = f"{after}…" if not sealed and start + WIDEST < len(line) else after
    return f"{before}{after}".rstrip(), "".join("\t" if c == "\t" else " " for c in before)


def _without_secrets(line: str, at: int) -> tuple[str, int]:
    """The line with *** for the value of a key that sounds like a secret's, and for a URL's password; and the column in it."""
    for pattern in (_WRITTEN_OUT, _IN_A_URL):
        for found in [*pattern.finditer(line)][::-1]:
            begin, end = found.span("value")
            line = f"{line[:begin]}***{line[end:]}"
            at = at if at <= begin else max(begin, at + len("***") - (end - begin))
    return line, at


def as_text(problems: Sequence[Problem], sources: Sources) -> str:
    """For people: each problem with its line, an empty line between two."""
    return "\n\n".join(show(p, sources[p.file]) if p.file in sources else str(p) for p in problems)


def as_json(problems: Sequence[Problem], sources: Sources) -> str:
    """For programs: a list of objects with the keys of `Problem`."""
    return json.dumps([structs.asdict(p) for p in problems], indent=2, ensure_ascii=False)


def as_github(problems: Sequence[Problem], sources: Sources) -> str:
    """For GitHub Actions: workflow commands, escaped as its runner's toolkit does (actions/toolkit, core/src/command.ts)."""
    return "\n".join(_workflow_command(p) for p in problems)


def _workflow_command(problem: Problem) -> str:
    data = f"{problem.sentence} [{problem.rule}]{_helped(problem)}"
    data = data.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    file = problem.file.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace(":", "%3A").replace(",", "%2C")
    return f"::error file={file},line={problem.line},col={problem.column}::{data}"


def as_sarif(problems: Sequence[Problem], sources: Sources) -> str:
    """For code scanning: SARIF 2.1.0 (OASIS), columns counted in code points."""
    driver = {"name": "gateway", "rules": [{"id": rule} for rule in sorted({p.rule for p in problems})]}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": [_result(p) for p in problems]}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _result(problem: Problem) -> dict[str, Any]:
    text = f"{problem.sentence}\nhelp: {problem.hint}" if problem.hint else problem.sentence
    location = {
        "artifactLocation": {"uri": quote(problem.file)},
        "region": {"startLine": problem.line, "startColumn": problem.column},
    }
    locations = [{"physicalLocation": location}]
    return {"ruleId": problem.rule, "level": "error", "message": {"text": text}, "locations": locations}


FORMATS: dict[str, Callable[[Sequence[Problem], Sources], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}
