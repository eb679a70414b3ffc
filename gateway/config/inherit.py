"""One level of `like:`: a document made from another. To make another kind of mapping replace instead of merge: `_replaces`."""

from __future__ import annotations

from typing import Any

from ..values import Reference
from .problems import Place
from .yaml import Document, Marks

TAGS = frozenset({"scheme"})  # where both say one, the child says something else, not something more
REFERENCE = frozenset(Reference.__struct_fields__)
OWN = frozenset({"tests", "like"})  # what a parent keeps to itself


def merge(child: Document, parent: Document) -> Document:
    """
    The child's document with the parent's behind it. Mappings merge; lists, texts and mappings with a tag replace.

    Each part keeps the file, line and column it came from. A parent that is itself `like` another, or that cannot be read, is a
    problem of the child's.
    """
    if child.broken or not isinstance(child.data, dict):
        return child
    if not _inheritable(child, parent):
        child.broken = True
        return child
    merged = Document(child.file, "")
    merged.text, merged.problems = child.text, list(child.problems)
    theirs = {key: value for key, value in parent.data.items() if key not in OWN}
    replaced: set[Place] = set()
    merged.data = _merged(child.data, theirs, (), replaced)
    merged.values = _kept(parent.values, replaced) | child.values
    merged.keys = _kept(parent.keys, replaced) | child.keys
    return merged


def _kept(marks: Marks, replaced: set[Place]) -> Marks:
    """The parent's marks without those of what the child replaces."""
    return {path: mark for path, mark in marks.items() if not any(path[:end] in replaced for end in range(len(path) + 1))}


def _inheritable(child: Document, parent: Document) -> bool:
    name = child.data.get("like")
    if parent.broken or not isinstance(parent.data, dict):
        child.report(("like",), "like", f"`{name}` cannot be read", f"mend {parent.file} first")
        return False
    if "like" in parent.data:
        hint = f"say `like: {parent.data['like']}`, or write what `{name}` changes here too"
        child.report(("like",), "like", f"`{name}` is itself like another, and only one level is followed", hint)
        return False
    return True


def _merged(child: dict[str, Any], parent: dict[str, Any], path: Place, replaced: set[Place]) -> dict[str, Any]:
    """The parent's keys in the parent's order, then what the child adds."""
    merged = parent | child
    for key in parent.keys() & child.keys():
        mine, theirs = child[key], parent[key]
        if isinstance(mine, dict) and isinstance(theirs, dict) and not _replaces(mine, theirs):
            merged[key] = _merged(mine, theirs, (*path, key), replaced)
        else:
            replaced.add((*path, key))
    return merged


def _replaces(mine: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether a mapping says one of several things: a tagged value, or where a value is kept (`env` or `file`, never both)."""
    both_kept = all({"env", "file"} & keys and keys <= REFERENCE for keys in (mine.keys(), theirs.keys()))
    return both_kept or bool(TAGS & mine.keys() & theirs.keys())
