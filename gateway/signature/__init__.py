"""
The signature language, for both directions: what is signed, where the signature stands and how it is written are data.

A spec verifies what comes in and signs what goes out; bytes go through untouched, and nothing here knows a vendor.
"""

from __future__ import annotations

from .spec import AnySignature, Clock, Place, Signature
from .template import MOST_FIELDS, ByteTemplate, Signed, check_header, raw

__all__ = ["MOST_FIELDS", "AnySignature", "ByteTemplate", "Clock", "Place", "Signature", "Signed", "check_header", "raw"]
