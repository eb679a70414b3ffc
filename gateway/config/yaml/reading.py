"""The parser's events to data, behind a guard. To forbid or bound something more: `Reading`, where each passes once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from ..problems import Place, Problem, legible, spelled
from ..scalars import resolve
from ..syntax import TAG, Spot, explain

if TYPE_CHECKING:
    from .document import Document

DEEPEST = 40  # lists and mappings within one another
MOST_NODES = 30_000
MOST_PROBLEMS = 100  # after so many the rest of a file is not read

# The C parser dies on deeply nested text when it builds objects (facts/trust-and-ux.md, finding 4). Its event stream does not
# recurse, so the events are all we take from it.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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


class Reading:
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
        if event.anchor is not None:
            self._refuse_anchor(event, legible(event.anchor))
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "tag", *TAG)

    def _refuse_anchor(self, event: Any, name: str) -> None:
        if isinstance(event, yaml.AliasEvent):
            hint = f'write the value itself; if it is text, put it in quotes: "*{name}"'
            self._refuse(event, "alias", f"`*{name}` is an alias, and there are none here", hint)
        else:
            hint = "take it away; to share a whole file, use `like:`"
            self._refuse(event, "alias", f"`&{name}` is an anchor, and there are none here", hint)

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
