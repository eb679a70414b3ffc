"""The pages say what is so: the reference is what the code says, every example loads, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli.reference import SECTIONS, everything
from gateway.config import check, load
from gateway.trials import run_provider_tests, run_sink_tests

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
# What a piece of a file needs around it to be a whole one.
AROUND = {
    "in a provider": {
        "title": "A provider",
        "auth": "{ scheme: bearer, token: { env: TOKEN } }",
        "map": "{ action: { default: trigger }, dedup_key: $.id, severity: { default: error }, summary: $.text }",
    },
    "in a sink": {"title": "A sink", "vars": "{ url: { env: URL } }", "request": '{ url: "{{ vars.url }}", json: $ }'},
}


def examples(page: Path) -> list[tuple[str, str]]:
    """Each YAML block of a page: its first line, which says what it is, and its text."""
    blocks = [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in BLOCK.findall(page.read_text())]
    return [(text.splitlines()[0].removeprefix("# "), text) for text in blocks]


EXAMPLES = [(page.name, first, text) for page in PAGES for first, text in examples(page)]


def whole(first: str, text: str) -> str:
    given = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    if "steps" in given:
        given.add("request")
    if "like" in given:
        return text
    return text + "".join(f"\n{key}: {value}" for key, value in AROUND.get(first, {}).items() if key not in given)


@pytest.mark.parametrize(
    "page, first, text", EXAMPLES, ids=[f"{page}: {first} {n}" for n, (page, first, _) in enumerate(EXAMPLES)]
)
def test_an_example_is_right_and_means_what_its_own_tests_say(tmp_path, page, first, text):
    kind, name = ("providers.d", "example") if "provider" in first else ("sinks.d", "example")
    if found := re.fullmatch(r"conf/(providers|sinks)\.d/([a-z-]+)\.yaml", first):
        kind, name = f"{found[1]}.d", found[2]
    else:
        assert first in AROUND, f"{page}: say in the first line what this block is: {first!r}"
    file = tmp_path / kind / f"{name}.yaml"
    file.parent.mkdir()
    file.write_text(whole(first, text))
    assert check([tmp_path]) == []
    config = load(tmp_path, {})
    provider, sink = config.providers.get(name), config.known_sinks.get(name)
    outcomes = list(run_provider_tests(name, provider)) if provider else list(run_sink_tests(name, sink, config))
    assert [outcome for outcome in outcomes if outcome.failures] == []


def test_there_are_examples_on_both_pages():
    assert {page for page, _, _ in EXAMPLES} == {"README.md", "dialect.md"}


def test_the_reference_is_what_the_code_says():
    assert (ROOT / "docs" / "reference.md").read_text() == everything(), "run: make docs"


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_of_the_reference_explains_every_row(section):
    rows = [line for text in SECTIONS[section]() for line in text.splitlines() if line.startswith("| `")]
    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
