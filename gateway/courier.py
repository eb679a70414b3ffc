"""
Bringing deliveries to one sink, once: render, authorize, send, judge, and say where that leaves each.

A batch that is refused as a whole is halved until the poison is alone.
"""

from __future__ import annotations
