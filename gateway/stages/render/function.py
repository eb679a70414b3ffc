"""A body that a Python function of the operator's makes, where no template will do."""

from __future__ import annotations

import copy
import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import Unrenderable

GIVEN = ("event", "incident", "memory", "vars", "secrets")
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def check_name(name: str) -> None:
    """Raises ValueError for what is not `package.module:name`."""
    if not _NAME.fullmatch(name):
        raise ValueError("function: write `package.module:name`, such as `our_formats:ticket`")


def find(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """The function of this name, its module imported. Raises ValueError, whatever its module raises."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module is somebody else's code, and may raise anything
        raise ValueError(f"`{module_name}` cannot be imported: {type(error).__name__}: {error}") from None
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(f"`{module_name}` has no function `{attribute}`")  # noqa: TRY004 - what a file says is wrong
    return function  # type: ignore[no-any-return]


def call(name: str, scope: Mapping[str, Any]) -> Any:
    """
    What the function makes of one event: text, or anything that JSON can hold. It is given one mapping with the names that
    templates have (`event`, `incident`, `memory`, `vars`, `secrets`), copied, so that it changes nothing. Raises Unrenderable.
    """
    given = {key: scope[key] for key in GIVEN if key in scope}
    try:
        made = find(name)(copy.deepcopy(given))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise Unrenderable(f"request.function: {name}: {said}", reason="function") from None
    if made is None:
        raise Unrenderable(f"request.function: {name}: it returned nothing; return the body", reason="function")
    return made
