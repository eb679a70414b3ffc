"""Which files a path names, and how they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import check, load
from gateway.config.files import sources_in
from gateway.errors import ConfigError

FILES = [
    "providers.d/a.yaml",
    "team/sinks.d/b.yml",
    ".venv/providers.d/c.yaml",
    "team/.git/sinks.d/d.yaml",
    "providers.d/.e.yaml",
]


def spread(folder: Path) -> None:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("title: 1\n")


def test_a_directory_names_what_lies_below_it_and_nothing_that_is_hidden(tmp_path):
    spread(tmp_path)
    assert [(source.kind, source.name) for source in sources_in(tmp_path)] == [("providers.d", "a"), ("sinks.d", "b")]


def test_a_hidden_gateway_yaml_is_not_looked_at_either(tmp_path):
    (tmp_path / ".old").mkdir()
    (tmp_path / ".old" / "gateway.yaml").write_text("prot: 1\n")
    assert check([tmp_path]) == []


def test_a_file_is_shown_as_it_was_named_even_through_a_link_that_leads_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spread(tmp_path)
    link = tmp_path / "providers.d" / "round.yaml"
    link.symlink_to(link)
    assert sorted(source.shown() for source in sources_in(Path("providers.d"))) == [
        "providers.d/a.yaml",
        "providers.d/round.yaml",
    ]


GOOD = "title: A\nauth: { scheme: bearer, token: { env: T } }\nmap: { action: { default: notice }, severity: { default: info }, summary: a }\n"
OPEN = GOOD.replace("{ scheme: bearer, token: { env: T } }", "{ scheme: none, because: trial }")
MISPLACED = {
    "misplaced.yaml": "a provider lies in providers.d, a sink in sinks.d",
    "gateway.yml": "call it gateway.yaml",
    "provider.d/x.yaml": None,
    "provider.d": "call it providers.d",
    "sinks/y.yaml": None,
    "sinks": "call it sinks.d",
    "providers.d/team/z.yaml": "put it into providers.d itself",
}


def test_what_lies_beside_the_places_that_are_read_is_a_problem_and_other_tools_files_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("providers.d/a.yaml", *(name for name in MISPLACED if name.endswith("l"))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "docker-compose.yaml").write_text("services: {}\n")
    wanted = sorted((name, "this is not read", hint) for name, hint in MISPLACED.items() if hint)
    assert [(each.file, each.message, each.hint) for each in check([Path()]) if each.rule == "misplaced"] == wanted
    with pytest.raises(ConfigError) as refused:
        load(Path(), {})
    assert [(each.file, each.message, each.hint) for each in refused.value.problems] == wanted


def test_a_configuration_further_down_is_none_of_this_ones_so_a_backup_opens_no_door(tmp_path):
    for name, text in (("providers.d/a.yaml", GOOD), ("backup/providers.d/a.yaml", OPEN), ("backup/providers.d/b.yaml", OPEN)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "gateway.yaml").write_text("catalogue: false\n")
    config = load(tmp_path, {})
    assert {name: type(provider.auth).__name__ for name, provider in config.providers.items()} == {"a": "Bearer"}


def test_two_files_with_one_name_are_a_problem_that_names_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "providers.d").mkdir()
    for ending, text in ((".yaml", GOOD), (".yml", OPEN)):
        (tmp_path / "providers.d" / f"a{ending}").write_text(text)
    said = "providers.d/a.yml:1:1: providers.d/a.yaml is called `a` too [file-name]\n    help: keep one of the two"
    assert [str(problem) for problem in check([Path()])] == [said]
    with pytest.raises(ConfigError) as refused:
        load(Path(), {})
    assert [str(problem) for problem in refused.value.problems] == [said]


def test_a_file_is_like_another_of_its_own_configuration_whichever_path_is_named(tmp_path):
    for root, token in (("one", "ONE"), ("two", "TWO")):
        (tmp_path / root / "providers.d").mkdir(parents=True)
        (tmp_path / root / "providers.d" / "base.yaml").write_text(GOOD.replace("env: T", f"env: {token}"))
        (tmp_path / root / "providers.d" / "child.yaml").write_text("like: base\n")
        assert check([tmp_path / root / "providers.d" / "child.yaml"]) == []
        assert str(load(tmp_path / root, {}).providers["child"].auth.token) == token
    assert check([tmp_path]) == []
