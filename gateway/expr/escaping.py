"""
JSON bodies as text: what a template prints inside quotes is escaped, what it prints outside of them is a JSON value.

Whether a place lies inside quotes is told from the template's own text, when it loads. A template where that depends on what a
payload holds is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from enum import Enum

from jinja2 import nodes

from .hardened import call


class Place(Enum):
    """Where in a JSON text one is."""

    OUTSIDE = "outside of quotes"
    INSIDE = "inside quotes"
    ESCAPE = "after a backslash"

    def after(self, text: str) -> Place:
        """Where one is after this much more text."""
        place = self
        for letter in text:
            if place is Place.ESCAPE:
                place = Place.INSIDE
            elif letter == '"':
                place = Place.OUTSIDE if place is Place.INSIDE else Place.INSIDE
            elif letter == "\\" and place is Place.INSIDE:
                place = Place.ESCAPE
        return place


def escape_json(tree: nodes.Template) -> nodes.Template:
    """A copy whose output is JSON whatever it prints. ValueError where that cannot be promised, with the template's line."""
    tree = copy.deepcopy(tree)
    end = _walk(tree.body, Place.OUTSIDE)
    if end is not Place.OUTSIDE:
        raise ValueError("the template ends inside quotes, so it is no JSON")
    return tree


def _walk(body: Sequence[nodes.Node], place: Place) -> Place:
    for node in body:
        match node:
            case nodes.Output():
                place = _print(node, place)
            case nodes.If():
                ends = {_walk(branch, place) for branch in _branches(node)}
                place = _same(ends, node.lineno, "one branch of an `if` ends inside quotes and another does not")
            case nodes.For():
                ends = {place, _walk(node.body, place), _walk(node.else_, place)}
                place = _same(ends, node.lineno, "a `for` begins and ends on different sides of a quote")
    return place


def _branches(node: nodes.If) -> list[list[nodes.Node]]:
    return [node.body, *(each.body for each in node.elif_), node.else_]


def _same(places: set[Place], line: int, otherwise: str) -> Place:
    if len(places) > 1:
        raise ValueError(f"{otherwise} (line {line} of the template); put the quotes on the same side of it")
    return places.pop()


def _print(output: nodes.Output, place: Place) -> Place:
    for index, node in enumerate(output.nodes):
        if isinstance(node, nodes.TemplateData):
            place = place.after(node.data)
        elif place is Place.ESCAPE:
            raise ValueError(
                f"a backslash stands before `{{{{` (line {node.lineno} of the template); what is printed is escaped already"
            )
        elif place is Place.INSIDE:
            output.nodes[index] = call(node, "json inside quotes")
        else:
            output.nodes[index] = call(_marked(node), "json value")
    return place


def _marked(node: nodes.Expr) -> nodes.Expr:
    """`| json` outside of quotes is no text to be written as JSON once more: it says so of what it makes."""
    for each in (node, *node.find_all(nodes.Filter)):
        if isinstance(each, nodes.Filter) and each.name == "json":
            each.name = "write json"
    return node
