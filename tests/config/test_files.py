"""Which files a path names, and how they are shown."""

from __future__ import annotations

from pathlib import Path

from gateway.config import check
from gateway.config.files import sources_in

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
