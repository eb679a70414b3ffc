"""`text_file`: a long template that stands in a file beside, read as if it stood in `text`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..values import read_bounded
from .problems import Place, legible
from .yaml import Document

LARGEST = 32 * 1024  # bytes


def read_texts(document: Document) -> None:
    """Put the text of each `text_file` of a sink's requests in its place; report those that cannot be read."""
    for place, request in list(_requests(document.data)):
        name = request.get("text_file")
        if isinstance(name, str) and "text" not in request:
            try:
                request["text"] = _read(Path(document.file_at((*place, "text_file"))).parent, name)
            except ValueError as error:
                document.report(
                    (*place, "text_file"), "text-file", str(error), "name a file beside this one, such as `alert.json.j2`"
                )
                request["text"] = ""
            del request["text_file"]
            document.values[*place, "text"] = document.stands((*place, "text_file"))


def _requests(data: Any) -> Iterator[tuple[Place, dict[str, Any]]]:
    if not isinstance(data, dict):
        return
    if isinstance(data.get("request"), dict):
        yield ("request",), data["request"]
    for index, step in enumerate(data["steps"] if isinstance(data.get("steps"), list) else []):
        if isinstance(step, dict) and isinstance(step.get("request"), dict):
            yield ("steps", index, "request"), step["request"]


def _read(folder: Path, name: str) -> str:
    shown = legible(name)
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"`{shown}` lies outside of this file's directory")
    try:
        content = read_bounded(path, LARGEST)
    except OSError as error:
        raise ValueError(f"`{shown}` cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ValueError(f"`{shown}` has more than {LARGEST:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"`{shown}` is not UTF-8 text") from None
