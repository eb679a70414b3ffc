"""Which files there are, and reading them: kinds, names, `like:`, the shipped catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from msgspec import Struct

from .decode import decode
from .hints import did_you_mean
from .inherit import merge
from .problems import Problem, legible
from .rules import lint
from .schema import Provider, Sink
from .texts import read_texts
from .yaml import Document

KINDS: dict[str, type] = {"providers.d": Provider, "sinks.d": Sink}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Source(Struct, frozen=True, order=True):
    """One file: what kind of thing it is and what it is called."""

    kind: str
    name: str
    path: Path
    shipped: bool = False

    def shown(self) -> str:
        """The path as a person would type it."""
        try:
            return str(self.path.absolute().relative_to(Path.cwd()))
        except ValueError:
            return str(self.path)


def catalogue() -> Path:
    """Where the shipped files are: inside the wheel, or beside the package in a checkout."""
    package = Path(str(resources.files("gateway")))
    return package / "catalogue" if (package / "catalogue").is_dir() else package.parent


def catalogue_sources() -> list[Source]:
    """The shipped files."""
    root = catalogue()
    return [Source(kind, file.stem, file, shipped=True) for kind in KINDS for file in sorted((root / kind).glob("*.yaml"))]


def shipped(kind: str, name: str) -> Source | None:
    """The shipped file of this name."""
    return next((source for source in catalogue_sources() if (source.kind, source.name) == (kind, name)), None)


def sources_in(path: Path) -> list[Source]:
    """The files that a path names: one file, a `providers.d` or `sinks.d`, or a directory that holds such."""
    if path.is_file():
        kind = path.parent.name if path.parent.name in KINDS else _kind_of(path)
        return [Source(kind, path.stem, path)] if path.name != "gateway.yaml" else []
    if path.name in KINDS:
        return [Source(path.name, file.stem, file) for file in _yaml_files(path)]
    return [Source(kind, file.stem, file) for kind in KINDS for folder in below(path, kind) for file in _yaml_files(folder)]


def below(path: Path, name: str) -> list[Path]:
    """The files or folders of this name anywhere below a directory; what is hidden (.git, .venv) is not looked into."""
    return sorted(found for found in path.rglob(name) if not any(part.startswith(".") for part in found.relative_to(path).parts))


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".yml") and not file.name.startswith("."))


def _kind_of(path: Path) -> str:
    text = path.read_text(errors="replace")
    return "sinks.d" if re.search(r"^(request|steps|print):", text, re.MULTILINE) else "providers.d"


class Read(Struct):
    """What the files of a configuration say: each as its struct, by kind and name; their data likewise; every problem."""

    things: dict[str, dict[str, Any]]
    data: dict[str, dict[str, Any]]
    problems: list[Problem]


def read_sources(sources: Iterable[Source]) -> Read:
    """Read every file; one that has a problem has no struct."""
    read = Read({kind: {} for kind in KINDS}, {kind: {} for kind in KINDS}, [])
    ordered = list(sources)
    documents = {(source.kind, source.name): source for source in [*catalogue_sources(), *ordered]}
    for source in ordered:
        document = read_document(source, documents)
        inherits = not any(problem.rule == "like" for problem in document.problems)
        struct = decode(document, KINDS[source.kind]) if inherits else None
        if struct is not None:
            lint(document, struct)
            read.things[source.kind][source.name] = struct
            read.data[source.kind][source.name] = document.data
        read.problems += document.problems
    return read


def read_document(source: Source, siblings: Mapping[tuple[str, str], Source]) -> Document:
    """A file's document, with what it inherits by `like:` worked in."""
    document = Document(source.shown(), source.path.read_bytes())
    if not _NAME.fullmatch(source.name):
        document.report(
            (),
            "file-name",
            f"the file is called {source.path.name!r}",
            hint="use small letters, digits and single dashes: team-a.yaml",
        )
    document = _inheriting(document, source, siblings)
    read_texts(document)
    return document


def _inheriting(document: Document, source: Source, siblings: Mapping[tuple[str, str], Source]) -> Document:
    parent_name = document.data.get("like") if isinstance(document.data, dict) else None
    if not isinstance(parent_name, str):
        return document
    own = parent_name == source.name  # a file may take the place of the shipped one that it is like
    parent = shipped(source.kind, parent_name) if own else siblings.get((source.kind, parent_name))
    if parent is None or parent.path == source.path:
        document.report(("like",), "like", *_no_parent(source, parent_name, siblings))
        return document
    return merge(document, Document(parent.shown(), parent.path.read_bytes()))


def _no_parent(source: Source, name: str, siblings: Mapping[tuple[str, str], Source]) -> tuple[str, str]:
    """What is wrong with `like:`, and how to mend it."""
    if name == source.name:
        return "a file cannot be like itself", f"there is no shipped file `{name}`; name another one in {source.kind}"
    names = [other for kind, other in siblings if kind == source.kind and other != source.name]
    hint = did_you_mean(name, names) or f"name another file in {source.kind}, without .yaml"
    return f"there is no `{legible(name)}` to be like", hint
