"""`request.function`: what an operator's Python is given and may return, and what is said where it cannot be called."""

from __future__ import annotations

import pytest
from trips import sink

from gateway.config import load
from gateway.errors import ConfigError, Unrenderable
from gateway.stages.render import render

MODULE = """
import json
seen = []

def structure(given):
    seen.append(sorted(given))
    given["event"]["labels"]["a"] = given["vars"]["url"] = "changed"
    return {"b": [given["event"]["summary"]], "a": 1}

def text(given):
    return json.dumps({"said": given["event"]["summary"]})

def broken_text(given):
    return "{"

def nothing(given):
    pass

def strange(given):
    return {1j}

def failing(given):
    return given["event"]["absent"]

def leaving(given):
    raise SystemExit(3)

number = 7
"""
SINK = 'title: T\nrequest: { url: https://sink.test/in, function: "bodies_of_a_test:%s"%s }\n'


@pytest.fixture
def path(tmp_path, monkeypatch):
    (tmp_path / "bodies_of_a_test.py").write_text(MODULE)
    (tmp_path / "bodies_that_break.py").write_text("raise SystemError('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def scope():
    return {
        "event": {"summary": 'a "b"', "labels": {"a": "b"}},
        "incident": {},
        "memory": {},
        "vars": {"url": "https://x.test"},
        "secrets": {},
        "tables": {},
    }


@pytest.mark.parametrize(
    "name, more, kind, body",
    [
        ("structure", "", "application/json", b'{"b":["a \\"b\\""],"a":1}'),
        ("structure", ", json_form: sorted", "application/json", b'{"a": 1, "b": ["a \\"b\\""]}'),
        ("text", "", "application/json", b'{"said": "a \\"b\\""}'),
        ("broken_text", ", headers: { Content-Type: text/plain }", "text/plain", b"{"),
    ],
)
def test_what_it_returns_is_the_body(path, name, more, kind, body):
    given = scope()
    request = render(sink(SINK % (name, more)).request, given)
    assert (request.headers["Content-Type"], request.content) == (kind, body)
    assert given == scope()  # whatever it does with its copies


@pytest.mark.parametrize(
    "name, said",
    [
        ("failing", "request.function: bodies_of_a_test:failing: KeyError: 'absent'"),
        ("leaving", "request.function: bodies_of_a_test:leaving: SystemExit: 3"),
        ("nothing", "request.function: bodies_of_a_test:nothing: it returned nothing; return the body"),
        ("strange", "request.function: this cannot be written as JSON: Encoding objects of type complex is unsupported"),
        ("broken_text", "request.function: what it returns is not JSON: Expecting property name enclosed in double quotes"),
        ("number", "request.function: bodies_of_a_test:number: `bodies_of_a_test` has no function `number`"),
    ],
)
def test_what_it_cannot_make_is_said(path, name, said):
    with pytest.raises(Unrenderable) as caught:
        render(sink(SINK % (name, "")).request, scope())
    assert str(caught.value).startswith(said)


def refused(path, function, settings):
    (path / "sinks.d").mkdir()
    (path / "sinks.d/s.yaml").write_text(f'title: T\nrequest: {{ url: https://sink.test/in, function: "{function}" }}\n')
    (path / "gateway.yaml").write_text(f"catalogue: false\n{settings}")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (problem,) = caught.value.problems
    return problem.line, problem.column, problem.message, problem.hint


def test_python_is_called_only_where_the_settings_allow_it(path):
    assert refused(path, "bodies_of_a_test:text", "") == (
        2,
        49,
        "`bodies_of_a_test:text` is Python, and may not be called",
        "set `functions: true` in gateway.yaml if you trust it",
    )


@pytest.mark.parametrize(
    "function, said",
    [
        ("no_such_module:body", "`no_such_module` cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("bodies_that_break:body", "`bodies_that_break` cannot be imported: SystemError: no licence"),
        ("bodies_of_a_test:absent", "`bodies_of_a_test` has no function `absent`"),
        ("bodies_of_a_test:number", "`bodies_of_a_test` has no function `number`"),
    ],
)
def test_a_function_that_is_not_there_is_found_when_the_file_loads(path, function, said):
    hint = "its module must lie on PYTHONPATH; see what it imports itself"
    assert refused(path, function, "functions: true\n") == (2, 49, said, hint)
