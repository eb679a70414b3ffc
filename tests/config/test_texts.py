"""A sink's `text_file`: read as if it stood in `text`, from beside the file and from nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import check, load
from gateway.trials import run_sink_tests

SINK = """
title: Pager
vars: {{ url: {{ env: URL }} }}
request: {{ url: "{{{{ vars.url }}}}", headers: {{ Content-Type: application/json }}, text_file: {name} }}
tests:
  - name: quotes in a payload break nothing
    event: {{ summary: 'the "big" one' }}
    expect: {{ requests: [ {{ json: {{ what: 'the "big" one' }} }} ], verdict: delivered }}
"""
TEMPLATE = '{"what": "{{ event.summary }}"}'


def sink(folder: Path, name: str) -> Path:
    file = folder / "sinks.d" / "pager.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(SINK.format(name=name))
    return file


def found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(folder)
    return [str(problem) for problem in check([Path()])]


def test_a_template_beside_the_file_is_the_body(tmp_path, monkeypatch):
    sink(tmp_path, "pager.json.j2").with_name("pager.json.j2").write_text(TEMPLATE)
    assert found(tmp_path, monkeypatch) == []
    config = load(tmp_path, {})
    assert [outcome.failures for outcome in run_sink_tests("pager", config.known_sinks["pager"], config)] == [()]


def test_what_is_wrong_in_the_template_is_told_where_the_file_names_it(tmp_path, monkeypatch):
    sink(tmp_path, "pager.json.j2").with_name("pager.json.j2").write_text("{{ evnt.summary }}")
    assert found(tmp_path, monkeypatch) == [
        "sinks.d/pager.yaml:4:91: request.text: the name `evnt` is not known here [unknown-name]\n    help: did you mean `event`?"
    ]


def test_a_child_takes_the_template_that_lies_beside_its_parent(tmp_path, monkeypatch):
    sink(tmp_path, "pager.json.j2").with_name("pager.json.j2").write_text(TEMPLATE)
    (tmp_path / "sinks.d" / "other.yaml").write_text("like: pager\ntitle: Other\n")
    assert found(tmp_path, monkeypatch) == []
    text = load(tmp_path, {}).known_sinks["other"].request.text
    assert text is not None
    assert text.text == TEMPLATE


HELP = "\n    help: name a file beside this one, such as `alert.json.j2`"


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("gone.j2", None, "`gone.j2` cannot be read: No such file or directory"),
        ("../outside.j2", None, "`../outside.j2` lies outside of this file's directory"),
        ("/etc/hostname", None, "`/etc/hostname` lies outside of this file's directory"),
        (".", None, "`.` cannot be read: Is a directory"),
        ("big.j2", b"x" * 32_769, "`big.j2` has more than 32,768 bytes"),
        ("latin.j2", b"caf\xe9", "`latin.j2` is not UTF-8 text"),
    ],
)
def test_a_template_that_cannot_be_read_is_a_problem(tmp_path, monkeypatch, name, content, said):
    file = sink(tmp_path, name)
    if content is not None:
        (file.parent / name).write_bytes(content)
    assert found(tmp_path, monkeypatch) == [f"sinks.d/pager.yaml:4:91: request.text_file: {said} [text-file]{HELP}"]


def test_a_request_has_one_body_wherever_it_stands(tmp_path, monkeypatch):
    file = sink(tmp_path, "pager.json.j2")
    file.write_text(file.read_text().replace("text_file:", "text: x, text_file:"))
    (problem,) = found(tmp_path, monkeypatch)
    assert "a request has one body: give one of json, form, text, text_file and function" in problem
