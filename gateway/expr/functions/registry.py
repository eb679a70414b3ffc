"""
What a function that templates may call is, and what is known about its arguments before anything is rendered.

An argument's annotation says what it must be: `str`, `int`, or a checked one below. What stands in a file is checked when that
loads, so that a bad pattern is found by `gateway validate`; what comes from a payload is checked when the function is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints, overload

import jinja2

from ..errors import ExpressionError
from ..times import check_format, check_zone
from ..written import as_text, is_missing, shown
from .patterns import check_pattern

LARGEST = 1024 * 1024  # characters, entries or keys of a result
LATER = object()  # stands for an argument that only a payload will tell

FUNCTIONS: dict[str, Callable[..., Any]] = {}
_SIGNATURES: dict[str, dict[str, inspect.Parameter]] = {}
_CHECKS: dict[str, dict[str, Check]] = {}
_WRITTEN: dict[
    str, tuple[Callable[..., Any], bool, bool]
] = {}  # as written; whether missing is theirs; whether they need the scope

F = TypeVar("F", bound=Callable[..., Any])


class Check(NamedTuple):
    """What an argument must be: its type, a test that raises ValueError, and whether it must stand in the file."""

    type: type = object
    test: Callable[[Any], object] = bool
    literal: bool = False


def _at_most(most: int) -> Callable[[Any], None]:
    def test(text: Any) -> None:
        if len(text) > most:
            raise ValueError(f"{len(text)} characters are too many; {most} are allowed")

    return test


def _one_of(*words: str) -> Callable[[Any], None]:
    def test(word: Any) -> None:
        if word not in words:
            raise ValueError(f"{word!r} is not one of {', '.join(words)}")

    return test


def _some(text: Any) -> None:
    if text == "":
        raise ValueError("an empty text separates nothing")


def _between(least: int, most: int) -> Callable[[Any], None]:
    def test(number: Any) -> None:
        if not least <= number <= most:
            raise ValueError(f"{number} is not between {least} and {most}")

    return test


Pattern = Annotated[str, Check(str, check_pattern, literal=True)]
Format = Annotated[str | None, Check(str, check_format, literal=True)]
Zone = Annotated[str | None, Check(str, check_zone)]
Unit = Annotated[str, Check(str, _one_of("characters", "bytes", "utf16"))]
Hash = Annotated[str, Check(str, _one_of("sha1", "sha256", "sha512"))]
Encoding = Annotated[str, Check(str, _one_of("hex", "base64"))]
Table = Annotated[str, Check(str, literal=True)]
Signs = Annotated[str | None, Check(str, _at_most(100))]
Piece = Annotated[str, Check(str, _some)]
Length = Annotated[int, Check(int, _between(0, LARGEST))]
Digits = Annotated[int | None, Check(int, _between(0, 9))]


@overload
def function(f: F, /) -> F: ...
@overload
def function(*, missing: bool) -> Callable[[F], F]: ...
def function(f: F | None = None, /, *, missing: bool = False) -> F | Callable[[F], F]:
    """
    Make a Python function one that templates may call, under its name without a `_` at the end.

    What finds nothing stays nothing: it is given back as it is, unless the function is there to handle it (`missing=True`). A
    first parameter called `context` is given the template's scope.
    """
    if f is None:
        return lambda f: _register(f, missing=missing)
    return _register(f, missing=missing)


def _register(f: F, *, missing: bool) -> F:
    name = f.__name__.rstrip("_")
    parameters = dict(inspect.signature(f).parameters)
    context = parameters.pop("context", None)
    _SIGNATURES[name], _CHECKS[name] = parameters, _checks(f, list(parameters)[1:])

    def call(scope: Sequence[Any], value: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
        if is_missing(value) and not missing:
            return value
        if args or named:
            args, named = _fitting(name, args, named)
        return _bounded(name, f(*scope, value, *args, **named))

    _WRITTEN[name] = f, missing, context is not None
    if context is not None:
        FUNCTIONS[name] = jinja2.pass_context(
            wraps(f)(lambda context, value, *args, **named: call((context,), value, args, named))
        )
    else:
        FUNCTIONS[name] = wraps(f)(lambda value, *args, **named: call((), value, args, named))
    return f


def prepared(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Any], Any]:
    """A function with its constant arguments, fitted once, to be called with a scope and a value."""
    (f, missing, scoped), (fit, fit_named) = _WRITTEN[name], _fitting(name, args, named)

    def call(scope: Mapping[str, Any], value: Any) -> Any:
        if is_missing(value) and not missing:
            return value
        return _bounded(name, f(scope, value, *fit, **fit_named) if scoped else f(value, *fit, **fit_named))

    return call


def _checks(f: Callable[..., Any], names: Sequence[str]) -> dict[str, Check]:
    hints = get_type_hints(f, include_extras=True)
    return {name: _check_of(hints.get(name)) for name in names}


def _check_of(hint: Any) -> Check:
    if get_origin(hint) is Annotated:
        return next((extra for extra in get_args(hint) if isinstance(extra, Check)), Check())
    return Check(next((kind for kind in (str, int, dict) if kind in (hint, *get_args(hint))), object))


def check_call(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Hold a call in a file to its function; LATER stands for an argument that is no constant. Raises ValueError, plainly."""
    for parameter, value in _bound(name, args, named).items():
        check = _CHECKS[name][parameter]
        if value is not LATER:
            _fit(name, parameter, value)
        elif check.literal:
            raise ValueError(f"{name}: `{parameter}` is written out, in quotes; it cannot come from a payload")


def _fitting(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
    wanted = list(_CHECKS[name])
    try:
        fit = [_fit(name, wanted[min(index, len(wanted) - 1)], value) for index, value in enumerate(args)]
        return fit, {parameter: _fit(name, parameter, value) for parameter, value in named.items()}
    except ValueError as error:
        raise ExpressionError(str(error)) from None


def _fit(name: str, parameter: str, value: Any) -> Any:
    """The argument as its function wants it. ValueError for one that cannot be."""
    check = _CHECKS[name][parameter]
    if is_missing(value) and _SIGNATURES[name][parameter].default is None:
        return None
    if check.type in (str, int) and is_missing(value):
        raise ValueError(f"{name}: `{parameter}` finds nothing")
    if check.type is str and not isinstance(value, str):
        value = as_text(value)
    if check.type is int and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"{name}: `{parameter}` is a whole number, and {shown(value)} was given")
    try:
        check.test(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return value


def _bound(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    first, *wanted = _SIGNATURES[name].values()
    try:
        bound = inspect.Signature([first, *wanted]).bind(None, *args, **named).arguments
    except TypeError as error:
        usage = ", ".join(str(parameter.replace(annotation=inspect.Parameter.empty)) for parameter in wanted)
        raise ValueError(f"{name}: {error}; it is written {name}{f'({usage})' if usage else ''}") from None
    given: dict[str, Any] = {}
    for parameter in wanted:
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL and parameter.name in bound:
            given[parameter.name] = bound[parameter.name]
    return given


def _bounded(name: str, result: Any) -> Any:
    if isinstance(result, str | list | dict):
        check_size(name, len(result))
    return result


def check_size(name: str, size: int) -> None:
    """Raise ExpressionError where a function's result would be too large, before it is made."""
    if size > LARGEST:
        raise ExpressionError(f"{name}: the result is larger than {LARGEST}")
