"""An event in a sink's words: HTTP requests, ready to authorize and send."""

from .batch import Batch, Parcel, has_idle_body, pack
from .function import find
from .request import inflate, render
from .template import RequestTemplate

__all__ = ["Batch", "Parcel", "RequestTemplate", "find", "has_idle_body", "inflate", "pack", "render"]
