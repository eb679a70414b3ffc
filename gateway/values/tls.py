"""How a sink's certificate is checked, and ours shown."""

from __future__ import annotations

from .keys import Keys
from .references import Reference


class Tls(Keys, frozen=True):
    """
    How a sink's certificate is checked, and ours shown.

    verify: Whether its certificate is checked. Never turn this off but to find out what is wrong.
    ca_file: The file with the authorities that may have signed it, instead of the usual ones.
    client_cert: Our certificate and its key, as PEM, or the path of the file that holds both.
    """

    verify: bool = True
    ca_file: str | None = None
    client_cert: Reference | None = None
