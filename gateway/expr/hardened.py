# ruff: noqa: N802 - Jinja2 finds a visitor by its node's name
"""A template's tree, rewritten so that whatever it does goes through functions of ours, which know their bounds."""

from __future__ import annotations

import copy
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from .environment import ENVIRONMENT


def call(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    """A call of one of HARDENED's functions."""
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def harden(tree: nodes.Template) -> nodes.Template:
    """A hardened copy, ready to be compiled."""
    hardened: nodes.Template = _Hardening().visit(copy.deepcopy(tree))
    hardened.set_environment(ENVIRONMENT)
    return hardened


class _Hardening(NodeTransformer):
    """
    Keys are looked up with their whole name, `~` and `[:]` are ours, loops are counted, tuples are lists as in JSON, and what is
    missing stands in no mapping and no list.
    """

    def _look_up(self, node: nodes.Expr) -> nodes.Node:
        root, keys, shown = keys_of(node)
        keys = [self.visit(key) for key in keys]
        root = root if isinstance(root, nodes.Name) else self.visit(root)
        return call(root, "look up", nodes.Tuple(keys, "load"), nodes.Const(shown))

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        return self._look_up(node) if node.ctx == "load" else node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
        return self._look_up(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        if not isinstance(node.arg, nodes.Slice):
            return self._look_up(node)
        ends = [nodes.Const(None) if end is None else self.visit(end) for end in (node.arg.start, node.arg.stop, node.arg.step)]
        return call(self.visit(node.node), "part", *ends)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        return call(nodes.List([self.visit(each) for each in node.nodes], lineno=node.lineno), "joined")

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        self.generic_visit(node)
        if node.expr2 is None:  # the engine has an undefined of its own here, which it prints
            node.expr2 = call(nodes.Const(None), "look up", nodes.Tuple([], "load"), nodes.Const("a value"))
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = call(node.iter, "each")
        return node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return call(nodes.List(node.items, lineno=node.lineno), "entries") if node.ctx == "load" else node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return call(node, "entries")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return call(node, "mapping")


def keys_of(node: nodes.Expr) -> tuple[nodes.Expr, list[nodes.Expr], str]:
    """`a.b['c'][0]` as its root, the keys from there on, and how it is shown to people."""
    keys: list[nodes.Expr] = []
    while isinstance(node, nodes.Getattr) or (isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Slice)):
        keys.insert(0, nodes.Const(node.attr) if isinstance(node, nodes.Getattr) else node.arg)
        node = node.node
    return node, keys, _shown(node, keys)


def _shown(root: nodes.Expr, keys: list[Any]) -> str:
    text = root.name if isinstance(root, nodes.Name) else "…"
    for key in keys:
        if not isinstance(key, nodes.Const):
            text += "[…]"
        elif isinstance(key.value, str) and key.value.isidentifier():
            text += f".{key.value}"
        else:
            text += f"[{key.value!r}]"
    return text
