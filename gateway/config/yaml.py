"""
YAML behind a guard: 1.2 scalars, no aliases, no duplicate keys, bounded size, depth and count; every value knows its line.

It is the only importer of PyYAML. To forbid or bound something more: `_Reading`, where each event of the parser passes once.
"""

from __future__ import annotations

import re
import sys
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from ..values import read_bounded
from .problems import Place, Problem, legible, lines_of, spelled
from .scalars import CORE, resolve
from .syntax import TAG, Spot, explain

LARGEST = 1 << 20  # bytes
DEEPEST = 40  # lists and mappings within one another
MOST_NODES = 30_000
MOST_PROBLEMS = 100  # after so many the rest of a file is not read
LONGEST_VALUE = 200  # lines of a text in which a word is looked for

# The C parser dies on deeply nested text when it builds objects (facts/trust-and-ux.md, finding 4). Its event stream does not
# recurse, so the events are all we take from it.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Marks = dict[Place, tuple[str, Spot]]  # where things stand: in which file, at which line and column

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


class Document:
    """
    A file, read: `data` is plain data whose keys are all text, `problems` what is wrong with it so far, `text` the source.

    `broken` says that `data` cannot be trusted because the text is not the YAML we take. An empty file is an empty mapping.
    """

    def __init__(self, file: str, text: str | bytes) -> None:
        self.file, self.text, self.broken = file, "", False
        self.data: Any = {}
        self.problems: list[Problem] = []
        self.values: Marks = {}
        self.keys: Marks = {}
        self._open(text)

    @classmethod
    def of(cls, path: Path, shown: str, within: Sequence[Path] = (), until: bytes = b"") -> Self:
        """
        The document in a file, which must be a plain one and, with `within`, lie in one of these directories when every link is
        followed. Nothing of another file is ever shown. With `until`, what follows these bytes is not looked at.
        """
        try:
            real = path.resolve(strict=True)
            outside = within and not any(real.is_relative_to(folder.resolve()) for folder in within)
            content = b"" if outside else read_bounded(path, LARGEST)
            document = cls(shown, content.partition(until)[0] if until else content)
        except (OSError, RuntimeError) as error:  # a RuntimeError where links lead in a circle
            reason = getattr(error, "strerror", None) or "its links lead in a circle"
            document = cls(shown, b"")
            document.refuse(Spot(1, 1), "file", f"the file cannot be read: {reason}", "put a plain file that may be read here")
            return document
        if outside:
            document.refuse(Spot(1, 1), "file", "this is a link that leads out of the configuration", "put the file itself here")
        return document

    def at(self, path: Place) -> tuple[int, int]:
        """Line and column of the value at a path; of the nearest thing around it, if it is not in the file."""
        return self.stands(path)[1]

    def key_at(self, path: Place) -> tuple[int, int]:
        """Line and column of the key that names the value at a path."""
        return self.stands(path, key=True)[1]

    def file_at(self, path: Place) -> str:
        """The file the value at a path comes from: after `like:` it may be the parent's."""
        return self.stands(path)[0]

    def stands(self, path: Place, *, key: bool = False) -> tuple[str, Spot]:
        """File and spot of the value at a path, or of its key; of what is around it, if it is not in the file."""
        while path:
            if key and path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return self.values.get((), (self.file, Spot(1, 1)))

    def report(self, path: Place, rule: str, message: str, hint: str = "", *, key: bool = False, word: str = "") -> None:
        """
        Add a problem with the value at a path, or with its key. The path is printed before the message.

        `word` is a part of the text at that path: where it stands is where the problem is.
        """
        file, spot = self.stands(path, key=key)
        spot = self.spot_of(word, spot) if word and file == self.file else spot
        self.problems.append(Problem(file, *spot, rule, message, hint, spelled(path)))

    def spot_of(self, word: str, begin: Spot) -> Spot:
        """Where a word first stands from a spot on, in the lines that one value may have; the spot itself where it does not."""
        whole = (r"(?<![\w.])", r"(?!\w)") if word.isidentifier() else ("", "")  # `team` is not the `team` of `item.team`
        wanted = re.compile(re.escape(word).join(whole))
        column = begin.column - 1
        for number, line in enumerate(lines_of(self.text)[begin.line - 1 :][:LONGEST_VALUE]):
            if found := wanted.search(line, column):
                return Spot(begin.line + number, found.start() + 1)
            column = 0
        return begin

    def refuse(self, spot: Spot, rule: str, message: str, hint: str = "") -> None:
        """Add a problem that makes the whole file unreadable."""
        self.broken = True
        self.problems.append(Problem(self.file, *spot, rule, message, hint))

    def _open(self, text: str | bytes) -> None:
        data = (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).removeprefix(BOM_UTF8)
        if len(data) > LARGEST:
            return self.refuse(Spot(1, 1), "size", f"the file has more than {LARGEST:,} bytes", "split it")
        try:
            self.text = text.removeprefix("\ufeff") if isinstance(text, str) else data.decode()
        except UnicodeDecodeError as error:
            self.text = data.decode(errors="replace")
            spot = _spot_after(data[: error.start].decode())
            return self.refuse(spot, "encoding", "the file is not UTF-8 from here on", "save it as UTF-8")
        if found := _UNPRINTABLE.search(self.text):
            spot, hint = _spot_after(self.text[: found.start()]), "take it away, or write it as an escape in double quotes"
            return self.refuse(spot, "encoding", f"the character U+{ord(found[0]):04X} cannot stand in a file", hint)
        _Reading(self).read()
        self.data = {} if self.data is None else self.data
        return None


def _spot_after(text: str) -> Spot:
    lines = lines_of(text)
    return Spot(len(lines), len(lines[-1]) + 1)


class _Refused(Exception):
    """The rest of the file is not worth reading."""


class _Container:
    """A list or mapping whose end has not come yet. `key` is the key whose value is next; None: a key is next."""

    def __init__(self, node: list[Any] | dict[str, Any], path: Place) -> None:
        self.node, self.path = node, path
        self.key: str | None = None

    def wants_key(self) -> bool:
        return isinstance(self.node, dict) and self.key is None

    def next_path(self) -> Place:
        return (*self.path, len(self.node)) if isinstance(self.node, list) else (*self.path, self.key or "")

    def put(self, value: Any) -> None:
        if isinstance(self.node, list):
            self.node.append(value)
        else:
            self.node.setdefault(self.key or "", value)  # of two equal keys, which are reported, the first is kept
            self.key = None


class _Reading:
    """One pass over the parser's events, building data and marks, with no recursion: depth costs the attacker, not us."""

    def __init__(self, document: Document) -> None:
        self.document, self.stack = document, list[_Container]()
        self.nodes = self.documents = 0

    def read(self) -> None:
        try:
            for event in yaml.parse(self.document.text, Loader=_Parser):
                self._take(event)
        except _Refused:
            return
        except yaml.MarkedYAMLError as error:
            here, since = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
            finding = explain(error.problem or str(error), self.document.text, _marked(here), _marked(since))
            self.document.refuse(finding.spot, "syntax", finding.message, finding.hint)
        except yaml.YAMLError as error:
            self.document.refuse(Spot(1, 1), "syntax", legible(str(error)), "check that this is a YAML file")

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.NodeEvent):
            self._admit(event)
            self._build(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._stop(event, "syntax", "a second document begins here", "keep one document in a file, without `---` between")

    def _admit(self, event: Any) -> None:
        if len(self.document.problems) >= MOST_PROBLEMS:
            self.document.broken = True
            raise _Refused
        self.nodes += 1
        if self.nodes > MOST_NODES:
            self._stop(event, "size", f"the file has more than {MOST_NODES:,} values", "split it")
        if isinstance(event, yaml.CollectionStartEvent) and len(self.stack) >= DEEPEST:
            self._stop(event, "size", f"nested deeper than {DEEPEST} levels", "flatten it")
        name = legible(str(getattr(event, "anchor", None)))
        if isinstance(event, yaml.AliasEvent):
            hint = f'write the value itself; if it is text, put it in quotes: "*{name}"'
            self._refuse(event, "alias", f"`*{name}` is an alias, and there are none here", hint)
        elif event.anchor is not None:
            hint = "take it away; to share a whole file, use `like:`"
            self._refuse(event, "alias", f"`&{name}` is an anchor, and there are none here", hint)
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "tag", *TAG)

    def _build(self, event: Any) -> None:
        if self.stack and self.stack[-1].wants_key():
            return self._name(event)
        path = self.stack[-1].next_path() if self.stack else ()
        self.document.values.setdefault(path, self._standing(event))
        node = self._value(event)
        if self.stack:
            self.stack[-1].put(node)
        else:
            self.document.data = node
        if isinstance(event, yaml.CollectionStartEvent):
            self.stack.append(_Container(node, path))
        return None

    def _value(self, event: Any) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return {}
        if isinstance(event, yaml.SequenceStartEvent):
            return []
        if isinstance(event, yaml.AliasEvent) or not event.implicit[0]:
            return getattr(event, "value", None)
        try:
            return resolve(event.value)
        except ValueError as error:
            return self._refuse(event, "number", str(error), "put it in quotes if it is text")

    def _name(self, event: Any) -> None:
        """Take a key, always as the text that is written."""
        mapping = self.stack[-1]
        if isinstance(event, yaml.CollectionStartEvent):
            self._refuse_key(event)
        key = mapping.key = event.value if isinstance(event, yaml.ScalarEvent) else ""
        self._admit_key(event, key)
        path = mapping.next_path()
        if key == "<<" and getattr(event, "implicit", (False,))[0]:
            hint = "write the keys out; to share a whole file, use `like:`"
            self._refuse(event, "alias", "`<<` is a merge key, and there are none here", hint)
        if path in self.document.keys:
            line, column = self.document.key_at(path)
            message = f"given twice, first at {line}:{column}"
            twice = Problem(self.document.file, *_spot(event), "duplicate-key", message, "keep one of the two", spelled(path))
            self.document.problems.append(twice)
        self.document.keys.setdefault(path, self._standing(event))

    def _admit_key(self, event: Any, key: str) -> None:
        """A key copied from a web page may hold a space that YAML takes for a letter."""
        odd = next((letter for letter in key if ord(letter) > 0x7F and not letter.isprintable()), "")
        if odd and getattr(event, "style", None) not in ("'", '"'):
            spot, hint = self.document.spot_of(odd, _spot(event)), "write a plain space in its place, or take it away"
            message = f"the character U+{ord(odd):04X} looks like a space, or like nothing, and is neither"
            self.document.refuse(spot, "syntax", message, hint)

    def _refuse_key(self, event: Any) -> None:
        begin = event.start_mark.index - 1
        if self.document.text[begin : begin + 2] == "{{":
            line, column = _spot(event)
            found = re.match(r"\{\{[^\r\n]*?\}\}", self.document.text[begin : begin + 80])
            whole = found[0] if found and '"' not in found[0] else "{{ item.name }}"
            message, hint = "a value that begins with `{{` must stand in quotes", f'write it like "{legible(whole)}"'
            self.document.refuse(Spot(line, column - 1), "syntax", message, hint)
            raise _Refused
        self._stop(event, "syntax", "a key must be text, not a list or a mapping", "put it in quotes")

    def _standing(self, event: Any) -> tuple[str, Spot]:
        return self.document.file, _spot(event)

    def _refuse(self, event: Any, rule: str, message: str, hint: str) -> None:
        self.document.refuse(_spot(event), rule, message, hint)

    def _stop(self, event: Any, rule: str, message: str, hint: str) -> None:
        self._refuse(event, rule, message, hint)
        raise _Refused


def _spot(event: Any) -> Spot:
    return _marked(event.start_mark)


def _marked(mark: Any) -> Spot:
    return Spot(mark.line + 1, mark.column + 1) if mark else Spot(1, 1)


class _Dumper(yaml.SafeDumper):
    """Block style. Text that YAML 1.1 or 1.2 would take for something else is put in quotes, so that every reader agrees."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT002 - PyYAML's own
        """Indent a list below its key, as our files do."""
        super().increase_indent(flow, indentless=False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = "|" if "\n" in text else None
    style = plain if text.replace("\n", "").isprintable() else '"'  # where what is not seen is written as an escape
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", CORE, None)  # after YAML 1.1's own: what only 1.2 takes for a number


def dump(data: Any) -> str:
    """Plain data as YAML that `Document` reads back as the same data: keys in the order given, several lines as `|`."""
    return yaml.dump(data, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=sys.maxsize)
