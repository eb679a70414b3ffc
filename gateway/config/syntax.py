"""
What the YAML parser says, in plain words and with a way to mend it.

To add one: libyaml's sentence (scanner.c, parser.c) in `_PLAIN`, or in `_LOOKED_AT` where the words depend on the text around.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .problems import legible, lines_of


class Spot(NamedTuple):
    """A line and a column, both counted from 1."""

    line: int
    column: int


class Finding(NamedTuple):
    """Where it is wrong, what is wrong, and how to mend it."""

    spot: Spot
    message: str
    hint: str


class _Text:
    """The text, and the two places the parser names: where it stopped, and where what it was reading began."""

    def __init__(self, text: str, here: Spot, since: Spot) -> None:
        self.lines = lines_of(text)
        self.here, self.since = self._inside(here), self._inside(since)

    def _inside(self, spot: Spot) -> Spot:
        """libyaml says that a text without a newline at its end stops in the line after its last."""
        last = Spot(len(self.lines), len(self.lines[-1]) + 1)
        return min(spot, last)

    def before(self) -> str:
        return self.lines[self.here.line - 1][: self.here.column - 1]

    def after(self, spot: Spot) -> str:
        return self.lines[spot.line - 1][spot.column - 1 :]

    def word(self, spot: Spot) -> str:
        """The text from a spot up to the next space or bracket, for quoting it."""
        found = re.match(r"[^\s,\[\]{}]+", self.after(spot))
        return legible(found[0], 40) if found else ""

    def whole(self, spot: Spot) -> str:
        """The text from a spot to the end of its line, or of its entry inside brackets: in quotes, as it may then stand there."""
        rest, before = self.after(spot), self.lines[spot.line - 1][: spot.column - 1]
        inside = before.count("[") + before.count("{") > before.count("]") + before.count("}")
        text = re.split(r"[,\]}]| #" if inside else " #", rest)[0].strip()
        return f"'{legible(text, 60)}'" if '"' in text or "\\" in text else f'"{legible(text, 60)}"'

    def last(self) -> Spot:
        """Where the last character before the place stands that is no space."""
        lines = [*self.lines[: self.here.line - 1], self.before()]
        number = max((at for at, line in enumerate(lines) if line.strip()), default=0)
        return Spot(number + 1, max(1, len(lines[number].rstrip())))

    def at_end(self) -> bool:
        return not any(line.strip() for line in [self.after(self.here), *self.lines[self.here.line :]])


def explain(said: str, text: str, here: Spot, since: Spot) -> Finding:
    """The finding for libyaml's sentence `said`; the sentence itself where we know no better."""
    read = _Text(text, here, since)
    if said in _LOOKED_AT:
        return _LOOKED_AT[said](read)
    message, hint = _PLAIN.get(said, (said, "check the indentation, the quotes and the brackets here"))
    return Finding(read.here, message, hint)


_TAB = ("a tab where only spaces may stand", "indent with spaces")
_ESCAPE = ("this escape names no character", "write the character itself, or its code with eight digits, as in `\\U0001F600`")
TAG = (
    "tags such as `!name` are not understood",
    "take the tag away; a secret is written `{ env: NAME }`, and text that begins with `!` stands in quotes",
)
_DIRECTIVE = ("directives such as `%YAML` are not understood", "take the line away")

_PLAIN: dict[str, tuple[str, str]] = {
    "found a tab character that violates indentation": _TAB,
    "found a tab character where an indentation space is expected": _TAB,
    "found invalid Unicode character escape code": _ESCAPE,
    "did not find expected hexdecimal number": _ESCAPE,
    "found undefined tag handle": TAG,
    "did not find the expected '>'": TAG,
    "found unknown directive name": _DIRECTIVE,
    "found incompatible YAML document": _DIRECTIVE,
    "block sequence entries are not allowed in this context": (
        "a list entry cannot stand on the line of its key",
        "put each `- …` on a line of its own below the key, or write `[a, b]`",
    ),
    "did not find expected comment or line break": (
        "text after `|` or `>` begins on the next line",
        "move the text down and indent it, or put it in quotes instead",
    ),
    "did not find expected <document start>": (
        "this line stands outside of what came before",
        "give all top keys the same indentation; a file holds one document",
    ),
    "did not find expected '-' indicator": (
        "a list entry is expected here, as the lines above are a list",
        "begin the line with `- `, or indent it so that it belongs to the entry above",
    ),
}


def _unstartable(text: _Text) -> Finding:
    begin = text.after(text.here)[:1]
    if begin == "\t":
        return Finding(text.here, *_TAB)
    return Finding(text.here, f"text cannot begin with `{legible(begin)}`", f"put it in quotes: {text.whole(text.here)}")


def _star(text: _Text) -> Finding:
    begin = text.after(text.since)[:1]
    return Finding(text.since, f"text cannot begin with `{begin}`", f"put it in quotes: {text.whole(text.since)}")


def _second_colon(text: _Text) -> Finding:
    if re.search(r":\s", text.before()):
        return Finding(text.here, "a second `: ` in one value", "put the value in quotes, or its keys on lines of their own")
    above = text.lines[text.here.line - 2] if text.here.line > 1 else ""
    if glued := re.match(r"(\s*)([\w-]+:[^\s:/]\S*)", above):
        spot = Spot(text.here.line - 1, len(glued[1]) + 1)
        return Finding(spot, f"`{legible(glued[2], 40)}` is no key", "put a space after the colon")
    start = len(text.before()) - len(text.before().lstrip())
    hint = "align it with the keys above it; is there a `: `, with its space, in the line above?"
    return Finding(Spot(text.here.line, start + 1), "a key cannot stand here", hint)


def _no_colon(text: _Text) -> Finding:
    word = text.word(text.since)
    if word.startswith("-"):
        return Finding(text.since, f"`{word}` is neither a list entry nor a key", "put a space after the dash")
    if ":" in word:
        return Finding(text.since, f"`{word}` is no key", "put a space after the colon")
    hint = f"write `{word}: value`; text that goes on from the line above is indented more than its key"
    return Finding(text.since, f"`{word}` is no key, as no `:` follows it", hint)


def _no_key(text: _Text) -> Finding:
    before = text.before().rstrip()
    if text.before().endswith("'") and re.match(r"\w", text.after(text.here)):
        spot, hint = Spot(text.here.line, text.here.column - 1), "inside single quotes a `'` is written twice: `''`"
        return Finding(spot, "this quote closes the text, which goes on behind it", f"{hint}; or use double quotes around it")
    if before.endswith(('"', "'")):
        return Finding(text.here, "text goes on after its closing quote", "put one pair of quotes around the whole value")
    if re.match(r"-(\s|$)", text.after(text.here)):
        hint = "indent the list below its key; the key's own line ends with `:`"
        return Finding(text.here, "a list entry where a key is expected", hint)
    if not before:
        return Finding(text.here, "the indentation matches nothing above", "align the line with the keys it belongs to")
    return Finding(text.here, "a key is expected here", "write `key: value`")


def _unclosed_bracket(text: _Text) -> Finding:
    bracket = text.after(text.since)[:1]
    closing = {"[": "]", "{": "}"}.get(bracket, "]")
    if text.at_end():
        return Finding(text.since, f"`{bracket}` is never closed", f"end it with `{closing}`")
    opened = f"`{bracket}` opened at {text.since.line}:{text.since.column}"
    hint = f"{opened}; put `,` between entries, and text that holds `: ` in quotes"
    return Finding(text.here, f"`,` or `{closing}` is expected here", hint)


def _no_value(text: _Text) -> Finding:
    word = text.after(text.here)[:1]
    if not word:
        if text.at_end():
            hint = "give it, and close the brackets that are open"
            return Finding(text.last(), "the file ends behind this, where a value is expected", hint)
        return Finding(text.here, "a value is expected here", "give it, or take what announces it away")
    return Finding(text.here, f"a value cannot begin with `{word}`", "give the value, or put it in quotes if it is text")


def _unclosed_quote(text: _Text) -> Finding:
    quote = text.after(text.since)[:1]
    inside = "a `'` inside is written twice: `''`" if quote == "'" else 'a `"` inside is written `\\"`'
    return Finding(text.since, "the quote that opens here is never closed", f"close it; {inside}")


def _unknown_escape(text: _Text) -> Finding:
    escape = legible(text.after(text.here)[:2])
    hint = f"write `\\{escape}`, or use single quotes, in which a backslash is only itself"
    return Finding(text.here, f"`{escape}` means nothing in double quotes", hint)


_LOOKED_AT: dict[str, Callable[[_Text], Finding]] = {
    "found character that cannot start any token": _unstartable,
    "did not find expected alphabetic or numeric character": _star,
    "mapping values are not allowed in this context": _second_colon,
    "could not find expected ':'": _no_colon,
    "did not find expected key": _no_key,
    "did not find expected ',' or ']'": _unclosed_bracket,
    "did not find expected ',' or '}'": _unclosed_bracket,
    "did not find expected node content": _no_value,
    "found unexpected end of stream": _unclosed_quote,
    "found unexpected document indicator": _unclosed_quote,
    "found unknown escape character": _unknown_escape,
}
