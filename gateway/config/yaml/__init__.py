"""
YAML behind a guard: 1.2 scalars, no aliases, no duplicate keys, bounded size, depth and count; every value knows its line.

It is the only importer of PyYAML.
"""

from __future__ import annotations

from .document import LARGEST, LONGEST_VALUE, Document, Marks
from .dumping import dump
from .reading import DEEPEST, MOST_NODES, MOST_PROBLEMS

__all__ = ["DEEPEST", "LARGEST", "LONGEST_VALUE", "MOST_NODES", "MOST_PROBLEMS", "Document", "Marks", "dump"]
