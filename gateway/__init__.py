"""A durable webhook gateway described in YAML: verify, map, deduplicate, store, route, render, deliver, retry, bury, replay."""

__version__ = "0.1.0"
