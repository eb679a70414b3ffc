"""The values behind references, and what must never be shown of them."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

import re2

from ..errors import SecretUnset
from .files import read_bounded
from .references import Reference, Setting
from .spellings import marks_of, spellings, written

SHORTEST_MASKED = 4  # characters: masking shorter ones would tear other words apart
SHORTEST_REMOVED = 8  # the same, where what is left still has a meaning: `test` may be a secret, and an environment's name
SHORTEST_PASSING = 3600.0  # seconds for which any is masked: what was sent with it may come back later
MASK = "***"
FEW = 32  # texts that are sooner looked for one by one: the expression gives the interpreter's lock away at each look

_ONE_PASS = re2.Options()
_ONE_PASS.max_mem = 64 * 1024 * 1024  # bytes
_ONE_PASS.log_errors = False


class Secrets:
    """
    The values behind references, read once per configuration snapshot. Immutable from outside: a reload makes a new one.

    `environment` maps variable names to values; `root` is the directory that `file:` references may not leave.
    """

    LARGEST_FILE = 64 * 1024

    def __init__(self, environment: Mapping[str, str], root: Path | None = None) -> None:
        self._environment, self._root = environment, root
        self._found: dict[Reference, tuple[str, str]] = {}  # the value and why there is none; one of them is empty
        self._left_out: dict[Reference, bool] = {}
        self._keys: dict[Reference, list[bytes]] = {}
        self._concealed: frozenset[str] = frozenset()
        self._whole: frozenset[str] = frozenset()  # those of them that are no mere part of an address
        self._passing: dict[str, float] = {}  # secrets of an hour, and when they are none any more
        self._masks: dict[int, tuple[tuple[str, ...], re2._Regexp]] = {}  # what is looked for, by the shortest that counts
        self._changing = Lock()

    def reveal(self, reference: Reference) -> str:
        """The secret; SecretUnset when there is none or it is empty. It is masked from now on in whatever is shown."""
        value = self.look_up(reference)
        self.conceal(value)
        self.conceal(reference.prefix + value)
        return value

    def accepted(self, reference: Reference) -> list[str]:
        """The secret and, while it has a value, the one before it. Raises SecretUnset as `reveal` does."""
        return [self.reveal(each) for each in self._active(reference)]

    def keys(self, reference: Reference) -> list[bytes]:
        """The same as bytes, decoded where their references say so. SecretUnset also where one is not what it should be."""
        if reference not in self._keys:
            self._keys[reference] = [self._key(each) for each in self._active(reference)]
        return self._keys[reference]

    def look_up(self, reference: Reference) -> str:
        """A value that is not secret (`vars`); SecretUnset when there is none."""
        if reference not in self._found:
            self._found[reference] = self._find(reference)
        value, unset = self._found[reference]
        if unset:
            raise SecretUnset(unset)
        return value

    def setting(self, setting: Setting) -> str:
        """What is no secret, wherever it stands; SecretUnset when there is none."""
        return setting if isinstance(setting, str) else self.look_up(setting)

    def is_left_out(self, reference: Reference) -> bool:
        """Whether it is optional and nothing is there. What is there and cannot be used is not left out: it is a mistake."""
        if not reference.optional:
            return False
        if reference not in self._left_out:
            self._left_out[reference] = not self._is_there(reference)
        return self._left_out[reference]

    def is_set(self, reference: Reference) -> bool:
        """Whether there is a value."""
        return not self.unset(reference)

    def unset(self, reference: Reference) -> str:
        """Which variable or file has no value, and why if it is there; empty if it has one."""
        try:
            self.look_up(reference)
        except SecretUnset as error:
            return error.reference
        return ""

    def conceal(self, text: str) -> None:
        """Mask this text from now on, however it is written; of an address that is secret also its path and parameters."""
        if text not in self._whole:
            self._conceal(spellings(text), written(text))

    def conceal_for_now(self, text: str, seconds: float) -> None:
        """Mask a secret that is none after so many seconds, such as a token of an hour."""
        now = time.monotonic()
        over = [each for each, until in self._passing.items() if until < now]
        self._passing = {each: until for each, until in self._passing.items() if each not in over}
        self._passing[text] = now + max(seconds, SHORTEST_PASSING)
        with self._changing:
            self._concealed = self._concealed.difference(*map(spellings, over))
            self._whole = self._whole.difference(*map(written, over))
        self.conceal(text)

    def conceal_all(self, references: Iterable[Reference]) -> None:
        """Mask what is behind these, so far as there is anything, before it is first used: it may come in before that."""
        for reference in references:
            with suppress(SecretUnset):
                self.accepted(reference)

    def conceal_those_of(self, others: Secrets) -> None:
        """Mask what others gave out, too: what is rotated out is still under way."""
        self._conceal(others._concealed, others._whole)

    def _conceal(self, known: frozenset[str] | set[str], whole: frozenset[str] | set[str]) -> None:
        with self._changing:  # a long body is read in a thread
            self._concealed, self._whole = self._concealed | known, self._whole | whole
            self._masks = {}

    def mask(self, text: str, shortest: int = SHORTEST_MASKED) -> str:
        """The text with every secret given out so far replaced by ***: in one pass, however many there are."""
        if not self._concealed:
            return text
        try:
            marks, mask = self._masks.get(shortest) or self._compile(shortest)
            if len(marks) <= FEW and not any(map(text.__contains__, marks)):
                return text
            return text if mask.search(text) is None else mask.sub(MASK, text)
        except (re2.error, UnicodeEncodeError):  # too many for one expression; half a surrogate pair
            for value in self._looked_for(shortest):
                text = text.replace(value, MASK)
            return text

    def remove(self, text: str) -> str:
        """
        The same for what goes on to be read: shorter secrets and parts of addresses stay, as they may be words that mean
        something there.
        """
        return self.mask(text, SHORTEST_REMOVED)

    def revealed(self) -> list[str]:
        """Every value given out so far, however it may be written, longest first."""
        return sorted(self._concealed, key=lambda each: (-len(each), each))

    def _compile(self, shortest: int) -> tuple[tuple[str, ...], re2._Regexp]:
        values = self._looked_for(shortest)
        expression = re2.compile("|".join(map(re2.escape, values)) or r"[^\s\S]", _ONE_PASS)
        self._masks[shortest] = found = marks_of(values), expression
        return found

    def _looked_for(self, shortest: int) -> tuple[str, ...]:
        of_these = self._whole if shortest == SHORTEST_REMOVED else self._concealed
        return tuple(value for value in self.revealed() if value in of_these and len(value) >= shortest)

    def _active(self, reference: Reference) -> list[Reference]:
        earlier = reference.earlier
        return [reference] if earlier is None or not self.is_set(earlier) else [reference, earlier]

    def _key(self, reference: Reference) -> bytes:
        text = self.reveal(reference)
        if reference.decode is None:
            return text.encode()
        try:
            key = unbase64(text)
        except ValueError:
            raise SecretUnset(f"{reference} (it is not base64)") from None
        with suppress(UnicodeDecodeError):
            self.conceal(key.decode())
        return key

    def _find(self, reference: Reference) -> tuple[str, str]:
        """A blank value counts as none: a key of nothing, or of one space, is one that anybody has."""
        try:
            value = self._environment.get(reference.env, "") if reference.env is not None else self._read(reference)
            value = re.sub(r"\r?\n\Z", "", value, count=1)
            value.encode()
        except UnicodeError:
            return "", f"{reference} (it is not UTF-8 text)"
        except SecretUnset as error:
            return "", error.reference
        if value.removeprefix(reference.prefix).strip():
            return value.removeprefix(reference.prefix), ""
        if reference.default:
            return reference.default, ""
        return "", f"{reference} (nothing stands behind {reference.prefix})" if value.strip() else str(reference)

    def _is_there(self, reference: Reference) -> bool:
        if reference.earlier is not None and self.is_set(reference.earlier):
            return True
        if reference.env is not None:
            return bool(self._environment.get(reference.env, "").strip())
        try:
            return self._root is not None and (self._root / str(reference.file)).exists()
        except OSError:
            return True

    def _read(self, reference: Reference) -> str:
        if self._root is None:
            raise SecretUnset(f"{reference} (there is no secrets directory: set `secrets_dir` in gateway.yaml)")
        try:
            root = self._root.resolve()
            path = (root / str(reference.file)).resolve()
            if not path.is_relative_to(root):
                raise SecretUnset(f"{reference} (it leads out of the secrets directory)")
            if not path.is_file():
                raise SecretUnset(f"{reference} (there is no such file in the secrets directory)")
            data = read_bounded(path, self.LARGEST_FILE)
        except (OSError, RuntimeError) as error:  # a RuntimeError where links lead in a circle
            reason = getattr(error, "strerror", None) or "links that lead in a circle"
            raise SecretUnset(f"{reference} (it cannot be read: {reason})") from None
        if len(data) > self.LARGEST_FILE:
            raise SecretUnset(f"{reference} (it is larger than {self.LARGEST_FILE // 1024} KiB)")
        return data.decode()


def unbase64(text: str) -> bytes:
    """The bytes behind base64, with or without the padding at its end; ValueError for anything else."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
