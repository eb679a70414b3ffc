"""
From a YAML document to a typed struct, in one pass from the leaves up, with every problem rather than the first.

Each leaf is read once, by its type; a struct is built when all of its keys are. How a shape is read: one method each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from msgspec import structs

from ..values import Keys, Reference
from . import hints
from .problems import SEALED, Place, legible
from .schemas import described
from .shapes import Anything, Choice, Custom, Either, Keyed, ListOf, MapOf, Scalar, Shape, Tagged, is_custom, shape_of
from .yaml import MOST_PROBLEMS, Document

T = TypeVar("T")
LONGEST_MESSAGE = 400  # characters of a type's own sentence, which may quote what stands in the file
_FAILED: Any = object()  # stands where a value has a problem; no struct is built over it, as the problem has been reported


def decode(document: Document, type: type[T]) -> T | None:
    """The struct that the document says; None if anything is wrong, with what is in `document.problems` (the first 100 or so)."""
    if document.broken:
        return None
    value: T = _Decoding(document, type).read(document.data, type, ())
    return None if document.problems else value


class _Decoding:
    """One document on its way. Each method gives the value, or `_FAILED` after it has reported why not."""

    def __init__(self, document: Document, root: Any) -> None:
        self.document, self.root = document, root
        self.readers: dict[type, Callable[[Any, Any, Place], Any]] = {
            Anything: lambda value, *_: value,
            Scalar: self._scalar,
            Choice: self._choice,
            ListOf: self._list,
            MapOf: self._map,
            Keyed: self._keyed,
            Tagged: self._tagged,
            Custom: self._custom,
            Either: self._either,
        }

    def read(self, value: Any, annotation: Any, path: Place) -> Any:
        if self.is_full():
            return _FAILED
        shape = shape_of(annotation)
        if value is None and not isinstance(shape, Anything):
            return self._empty(path)
        return self.readers[type(shape)](value, shape, path)

    def is_full(self) -> bool:
        """Whether so much is wrong that looking further helps nobody."""
        return len(self.document.problems) >= MOST_PROBLEMS

    def _fail(self, path: Place, rule: str, message: str, hint: str = "", *, key: bool = False, word: str = "") -> Any:
        self.document.report(path, rule, message, hint, key=key, word=word)
        return _FAILED

    def _empty(self, path: Place) -> Any:
        what = "entry" if path and isinstance(path[-1], int) else "key"
        return self._fail(path, "no-value", "has no value", f"give it one, or remove the {what}", key=True)

    def _custom(self, value: Any, shape: Custom, path: Place) -> Any:
        if hints.is_foreign(value, shape):
            return self._mistyped(value, shape, path)
        try:
            return shape.type.read(value)
        except ValueError as error:
            before = len(self.document.problems)
            self._find_leaves(value, getattr(shape.type, "leaf", None), path)
            return _FAILED if len(self.document.problems) > before else self._refused(str(error), value, path)

    def _find_leaves(self, value: Any, leaf: Any, path: Place) -> None:
        """Which texts within a document are wrong: a document stops at its first, and does not say where."""
        if isinstance(value, dict | list):
            for step, part in value.items() if isinstance(value, dict) else enumerate(value):
                self._find_leaves(part, leaf, (*path, step))
        elif isinstance(value, str) and leaf is not None:
            self.read(value, leaf, path)

    def _refused(self, said: str, value: Any, path: Place) -> Any:
        """
        A type's own sentence. What it quotes first is what is wrong: where that stands in a text or list, the problem is. In a
        mapping it is with the first of its keys that the sentence has among its words.
        """
        found = re.search(r"['`]([^'`]+)['`]", said)
        quoted, message, hint = found[1] if found else "", legible(said, LONGEST_MESSAGE), hints.for_text(value)
        if isinstance(value, dict):
            named = [word for word in (quoted, *re.findall(r"[\w-]+", said)) if word in value]
            return self._fail((*path, *named[:1]), "value", message, hint, key=True)
        if isinstance(value, list) and quoted in value:
            return self._fail((*path, value.index(quoted)), "value", message, hint)
        if isinstance(value, str):
            message, line = _without_line(message, value)
            return self._fail(path, "value", message, hint, word=_wrong_word(said, quoted, value) or line)
        return self._fail(path, "value", message, hint)

    def _scalar(self, value: Any, shape: Scalar, path: Place) -> Any:
        if type(value) is shape.type:
            return value
        if shape.type is float and type(value) is int:
            try:
                return float(value)
            except OverflowError:
                return self._fail(path, "value", "this number is too large", "the largest has 308 digits")
        return self._mistyped(value, shape, path)

    def _mistyped(self, value: Any, shape: Shape, path: Place) -> Any:
        message = f"expected {hints.expected(shape)}, got {hints.kind(value)}"
        return self._fail(path, "type", message, hints.for_type(value, shape))

    def _choice(self, value: Any, shape: Choice, path: Place) -> Any:
        if hints.fits(value, shape):
            return value
        if type(value) not in {type(choice) for choice in shape.values}:
            return self._mistyped(value, shape, path)
        message = f"`{legible(str(value))}` is not one of {hints.listed(shape.values)}"
        return self._fail(path, "value", message, hints.did_you_mean(str(value), map(str, shape.values)))

    def _list(self, value: Any, shape: ListOf, path: Place) -> Any:
        if not isinstance(value, list):
            return self._mistyped(value, shape, path)
        return shape.build(self.read(entry, shape.item, (*path, index)) for index, entry in enumerate(value))

    def _map(self, value: Any, shape: MapOf, path: Place) -> Any:
        if not isinstance(value, dict):
            return self._mistyped(value, shape, path)
        bare = {key for key, entry in value.items() if entry is None and shape.nullable}
        return {key: None if key in bare else self.read(entry, shape.value, (*path, key)) for key, entry in value.items()}

    def _either(self, value: Any, shape: Either, path: Place) -> Any:
        """The member that fits by kind; else the first type that can read it."""
        members = [(member, shape_of(member)) for member in shape.members]
        for member, inner in members:
            if hints.fits(value, inner):
                return self.read(value, member, path)
        refusals: list[ValueError] = []
        for _, inner in members:
            if isinstance(inner, Custom):
                try:
                    return inner.type.read(value)
                except ValueError as error:
                    refusals.append(error)
        return self._refused(str(refusals[0]), value, path) if refusals else self._mistyped(value, shape, path)

    def _tagged(self, value: Any, shape: Tagged, path: Place) -> Any:
        words = tuple(shape.members)
        if not isinstance(value, dict):
            return self._mistyped(value, shape, path)
        if shape.key not in value:
            return self._fail((*path, shape.key), "missing-key", "is missing", f"it is one of {hints.listed(words)}", key=True)
        word = self.read(value[shape.key], Literal[words], (*path, shape.key))
        return _FAILED if word is _FAILED else self.read(value, shape.members[word], path)

    def _keyed(self, value: Any, shape: Keyed, path: Place) -> Any:
        if not isinstance(value, dict):
            if shape.type is Reference:
                hint = hints.VARIABLE if path[:1] == ("vars",) else hints.REFERENCE
                return self._fail(path, SEALED, f"expected where a value is kept, got {hints.kind(value)}", hint)
            return self._mistyped(value, shape, path)
        before = len(self.document.problems)
        fields = {key.field: self.read(value[name], key.type, (*path, name)) for name, key in shape.keys.items() if name in value}
        self._check_keys(value, shape, path)
        if len(self.document.problems) > before:
            return self._sealed(before, shape, path)
        try:
            return shape.type(**fields)
        except ValueError as error:
            return self._unfit(error, value, shape, path)

    def _sealed(self, since: int, shape: Shape, path: Place) -> Any:
        """What stands in a reference may be the secret itself: its line is not shown."""
        if isinstance(shape, Keyed) and shape.type is Reference and path[:1] != ("vars",):
            problems = self.document.problems
            problems[since:] = [structs.replace(problem, rule=SEALED) for problem in problems[since:]]
        return _FAILED

    def _check_keys(self, value: dict[str, Any], shape: Keyed, path: Place) -> None:
        known = sorted(shape.keys, key=lambda name: not shape.keys[name].required) + ([shape.tag[0]] if shape.tag else [])
        unknown = [key for key in value if key not in known][:MOST_PROBLEMS]
        for key in unknown:
            self._unknown(key, known, shape, path)
        if shape.tag and shape.tag[0] in value:
            self.read(value[shape.tag[0]], Literal[shape.tag[1]], (*path, shape.tag[0]))
        there = {*value, *(hints.meaning(key, known) for key in unknown)}  # a key that is misspelt is not missing too
        missing = [key.name for key in shape.keys.values() if key.required and key.name not in there]
        if missing and not value and not path:
            self._fail(path, "missing-key", "the file is empty", f"it needs {hints.listed(missing)}")
            return
        for name in missing:
            text = described(shape.type).get(name, "")
            self._fail((*path, name), "missing-key", "is missing", f"add `{name}`: {text}" if text else f"add `{name}`", key=True)

    def _unknown(self, key: str, known: list[str], shape: Keyed, path: Place) -> None:
        rule, hint = "unknown-key", hints.for_key(key, known, self.root, path)
        if shape.type is Reference:
            rule, hint = SEALED, hints.REFERENCE
        self._fail((*path, key), rule, "unknown key", hint, key=True)

    def _unfit(self, error: ValueError, value: dict[str, Any], shape: Keyed, path: Place) -> Any:
        """What a struct says of its keys together. A sentence that begins with one of them, `status: …`, is about that one."""
        before, about = len(self.document.problems), re.match(r"(\w+): (.+)", str(error), re.DOTALL)
        if about is None or about[1] not in value:
            self._refused(str(error), value, path)
            return self._sealed(before, shape, path)
        self._refused(about[2], value[about[1]], (*path, about[1]))
        inner = shape.keys[about[1]].type if about[1] in shape.keys else Any
        return self._sealed(before, shape if shape.type is Reference else shape_of(inner), path)


def _wrong_word(said: str, quoted: str, text: str) -> str:
    """The part of a text that a sentence is about: the function that says it, `split: …`, else what it quotes."""
    function = re.match(r"(\w+): ", said)
    if function and re.search(rf"\|\s*{function[1]}\b", text):
        return function[1]
    return quoted if quoted in text and quoted != text else ""


def _without_line(message: str, text: str) -> tuple[str, str]:
    """A template's sentence without the number of the line, and that line, where there are several."""
    found = re.fullmatch(r"(.*) \(line (\d+) of the template\)", message)
    lines = text.split("\n")
    if found is None or int(found[2]) > len(lines):
        return message, ""
    return found[1], lines[int(found[2]) - 1].strip() if len(lines) > 1 else ""


def walk(value: Any, path: Place = ()) -> list[tuple[Place, Any]]:
    """
    Every value of a custom type inside a decoded struct, and every Reference, with the path it has in YAML.

    A document comes whole; its `expressions()` gives what is in it.
    """
    found: list[tuple[Place, Any]] = []
    _walk(value, path, found)
    return found


_PLAIN = frozenset({str, int, float, bool, type(None)})  # most of what there is, above all in the tests of a file


def _walk(value: Any, path: Place, found: list[tuple[Place, Any]]) -> None:
    kind: Any = type(value)
    if kind in _PLAIN:
        return
    if is_custom(kind):
        found.append((path, value))
    elif isinstance(value, Keys):
        if isinstance(value, Reference):
            found.append((path, value))
        shape = shape_of(kind)
        for key in shape.keys.values() if isinstance(shape, Keyed) else ():
            _walk(getattr(value, key.field), (*path, key.name), found)
    elif isinstance(value, dict):
        for name, entry in value.items():
            _walk(entry, (*path, name), found)
    elif isinstance(value, list | tuple | frozenset):
        for index, entry in enumerate(value):
            _walk(entry, (*path, index), found)
