"""Which files there are, and reading them: kinds, names, `like:`, the shipped catalogue."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..values import read_bounded
from .decode import decode
from .functions import check_functions
from .hints import did_you_mean
from .inherit import merge
from .problems import Problem, legible
from .rules import lint
from .schema import Provider, Sink
from .texts import read_texts
from .yaml import Document

KINDS: dict[str, type] = {"providers.d": Provider, "sinks.d": Sink}
YAML = (".yaml", ".yml")
_VARIABLE = re.compile(rb"\benv: *([A-Za-z_][A-Za-z0-9_]*)")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


TESTS = b"\ntests:\n"  # with which the last part of every shipped file begins


class Source(Struct, frozen=True, order=True):
    """
    One file: what kind of thing it is and what it is called. `until`: of a shipped file that is only to run, what follows these
    bytes is not read: its tests are longer than all the rest, and were run before it was shipped.
    """

    kind: str
    name: str
    path: Path
    shipped: bool = False
    until: bytes = b""

    def shown(self) -> str:
        """The path as a person would type it."""
        return _shown(self.path)

    def within(self) -> list[Path]:
        """The directories that its links may not leave: its own, and that of its configuration. Ours are where they are."""
        folder = self.path.parent
        return [] if self.shipped else [folder, folder.parent] if folder.name in KINDS else [folder]


def _shown(path: Path) -> str:
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def catalogue() -> Path:
    """Where the shipped files are: inside the wheel, or beside the package in a checkout."""
    package = Path(str(resources.files("gateway")))
    return package / "catalogue" if (package / "catalogue").is_dir() else package.parent


def catalogue_sources(*, tests: bool = True) -> list[Source]:
    """The shipped files, with their tests or only as far as they run."""
    root, until = catalogue(), b"" if tests else TESTS
    files = [(kind, file) for kind in KINDS for file in sorted((root / kind).glob("*.yaml"))]
    return [Source(kind, file.stem, file, shipped=True, until=until) for kind, file in files]


def is_idle(source: Source, environment: Mapping[str, str]) -> bool:
    """Whether a shipped file names variables, and not one of them is set: nobody uses it, or only without its secret, in dev."""
    names = _VARIABLE.findall(source.path.read_bytes().partition(TESTS)[0])
    return bool(names) and not any(environment.get(name.decode()) for name in names)


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


def sources_of(root: Path) -> list[Source]:
    """The files of one configuration: those in its own `providers.d` and `sinks.d`. What lies deeper is not part of it."""
    return [Source(kind, file.stem, file) for kind in KINDS if (root / kind).is_dir() for file in _yaml_files(root / kind)]


def misplaced(root: Path) -> list[Problem]:
    """What lies beside the places that are read, and looks as if it were meant to be."""
    found: list[tuple[Path, str]] = []
    for file in sorted(root.iterdir()) if root.is_dir() else []:
        near = difflib.get_close_matches(file.name, (*KINDS, "providers", "sinks"), 1, 0.8)
        if file.name == "gateway.yml":
            found.append((file, "call it gateway.yaml"))
        elif file.is_file() and file.suffix in YAML and file.name != "gateway.yaml" and _is_ours(file):
            found.append((file, "a provider lies in providers.d, a sink in sinks.d"))
        elif file.is_dir() and file.name not in KINDS and near and any(map(_is_ours, _yaml_files(file))):
            found.append((file, f"call it {'sinks.d' if near[0].startswith('sink') else 'providers.d'}"))
    for kind in KINDS:
        folders = [folder for folder in sorted((root / kind).glob("*")) if folder.is_dir() and not folder.name.startswith(".")]
        found += [(file, f"put it into {kind} itself") for folder in folders for file in _yaml_files(folder)]
    return [Problem(_shown(file), 1, 1, "misplaced", "this is not read", hint) for file, hint in found]


def _is_ours(file: Path) -> bool:
    """Whether a YAML file is meant as a provider or a sink, by its first words."""
    text = _beginning(file)
    keys = set(re.findall(r"^([a-z_]+):", text, re.MULTILINE))
    return bool(keys & {"title", "like"}) and bool(keys & {"auth", "map", "cases", "request", "steps", "print", "like"})


def _beginning(file: Path) -> str:
    """The first words of a file; nothing where it cannot be read, which is said when it is."""
    try:
        return read_bounded(file, 20_000).decode(errors="replace")
    except OSError:
        return ""


def twins(sources: Iterable[Source]) -> list[Problem]:
    """Two files of one configuration with one name: `x.yaml` and `x.yml`."""
    first: dict[tuple[str, str], Source] = {}
    problems: list[Problem] = []
    for source in sources:
        other = first.setdefault((source.kind, source.name), source)
        if other is not source:
            message = f"{other.shown()} is called `{source.name}` too"
            problems.append(Problem(source.shown(), 1, 1, "file-name", message, "keep one of the two"))
    return problems


def below(path: Path, name: str) -> list[Path]:
    """The files or folders of this name anywhere below a directory; what is hidden (.git, .venv) is not looked into."""
    return sorted(found for found in path.rglob(name) if not any(part.startswith(".") for part in found.relative_to(path).parts))


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in YAML and not file.name.startswith("."))


def _kind_of(path: Path) -> str:
    text = _beginning(path)
    return "sinks.d" if re.search(r"^(request|steps|print):", text, re.MULTILINE) else "providers.d"


class Read(Struct):
    """What the files of a configuration say: each as its struct, by kind and name; their data likewise; every problem."""

    things: dict[str, dict[str, Any]]
    data: dict[str, dict[str, Any]]
    problems: list[Problem]


def read_sources(sources: Iterable[Source], *, functions: bool | None = None) -> Read:
    """Read every file; one that has a problem has no struct. `functions`: whether Python may be called; None: not looked at."""
    read = Read({kind: {} for kind in KINDS}, {kind: {} for kind in KINDS}, [])
    siblings: dict[Path, dict[tuple[str, str], Source]] = {}  # by directory: a thousand files are not listed a thousand times
    for source in sources:
        if source.path.parent not in siblings:
            siblings[source.path.parent] = siblings_of(source)
        document = read_document(source, siblings[source.path.parent])
        inherits = not any(problem.rule == "like" for problem in document.problems)
        struct = decode(document, KINDS[source.kind]) if inherits else None
        if struct is not None:
            lint(document, struct)
            if functions is not None and isinstance(struct, Sink):
                check_functions(document, struct, allowed=functions)
            read.things[source.kind][source.name] = struct
            read.data[source.kind][source.name] = document.data
        read.problems += document.problems
    return read


def siblings_of(source: Source) -> dict[tuple[str, str], Source]:
    """What a file may be like: the shipped files, and those of its own configuration."""
    own = sources_of(source.path.parent.parent) if source.path.parent.name in KINDS else []
    return {(each.kind, each.name): each for each in [*catalogue_sources(), *own]}


def read_document(source: Source, siblings: Mapping[tuple[str, str], Source]) -> Document:
    """A file's document, with what it inherits by `like:` worked in."""
    document = Document.of(source.path, source.shown(), source.within(), source.until)
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
    return merge(document, Document.of(parent.path, parent.shown(), parent.within()))


def _no_parent(source: Source, name: str, siblings: Mapping[tuple[str, str], Source]) -> tuple[str, str]:
    """What is wrong with `like:`, and how to mend it."""
    if name == source.name:
        return "a file cannot be like itself", f"there is no shipped file `{name}`; name another one in {source.kind}"
    names = [other for kind, other in siblings if kind == source.kind and other != source.name]
    hint = did_you_mean(name, names) or f"name another file in {source.kind}, without .yaml"
    return f"there is no `{legible(name)}` to be like", hint
