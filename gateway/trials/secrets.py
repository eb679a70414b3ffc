"""Secrets for a test, which knows none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..config import references
from ..config.schema import Sink, SinkTest
from ..values import Reference, Secrets

MADE_UP = "testsecret12"  # a secret that nothing is known of; base64 too, for where one is decoded


def made_up(sink: Sink, test: SinkTest, folder: Path) -> Secrets:
    """A value for each reference: the test's own, else its default, else one that is made of its name."""
    given = {
        reference: test.vars.get(name) or reference.default or ("" if reference.optional else _invented(name))
        for name, reference in {**sink.vars, **sink.secrets}.items()
    }
    values = {reference: given.get(reference, MADE_UP) for reference in references(sink)}
    return pretended({reference: value for reference, value in values.items() if value}, folder)


def _invented(name: str) -> str:
    return f"https://{name}.test" if "url" in name else f"test-{name}"


def pretended(values: Mapping[Reference, str], folder: Path) -> Secrets:
    """Secrets with these values, where their references look for them; those in files lie in the folder."""
    environment: dict[str, str] = {}
    for reference, value in values.items():
        if reference.env is not None:
            environment[reference.env] = value
        elif (file := folder / str(reference.file)).resolve().is_relative_to(folder.resolve()):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(value)
    return Secrets(environment, folder)
