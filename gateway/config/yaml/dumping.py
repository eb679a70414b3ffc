"""Data to YAML."""

from __future__ import annotations

import sys
from typing import Any

import yaml

from ..scalars import CORE


class _Dumper(yaml.SafeDumper):
    """Block style. Text that YAML 1.1 or 1.2 would take for something else is put in quotes, so that every reader agrees."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT002 - PyYAML's own
        """Indent a list below its key, as our files do."""
        super().increase_indent(flow, indentless=False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = "|" if "\n" in text else None
    style = plain if text.replace("\n", "").isprintable() else '"'  # where what is not seen is written as an escape
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", CORE, None)  # after YAML 1.1's own: what only 1.2 takes for a number


def dump(data: Any) -> str:
    """Plain data as YAML that `Document` reads back as the same data: keys in the order given, several lines as `|`."""
    return yaml.dump(data, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=sys.maxsize)
