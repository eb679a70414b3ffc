"""A file as a document: its data, where each value stands, and what is wrong with it."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from ...values import read_bounded
from ..problems import Place, Problem, lines_of, spelled
from ..syntax import Spot
from .reading import Reading

LARGEST = 1 << 20  # bytes
LONGEST_VALUE = 200  # lines of a text in which a word is looked for

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
        Reading(self).read()
        self.data = {} if self.data is None else self.data
        return None


def _spot_after(text: str) -> Spot:
    lines = lines_of(text)
    return Spot(len(lines), len(lines[-1]) + 1)
