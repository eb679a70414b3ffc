"""
Functions that templates may call, as filters: `{{ item.tags | split(',') }}`.

To add one, write it in the file it belongs to under `@function`: its docstring is its documentation, and its example is its test.
The annotation of an argument says what it must be, and is checked when a file loads.
"""

from . import codecs, moments, shapes, texts
from .registry import FUNCTIONS, LARGEST, LATER, check_call, prepared

__all__ = ["FUNCTIONS", "LARGEST", "LATER", "check_call", "codecs", "moments", "prepared", "shapes", "texts"]
