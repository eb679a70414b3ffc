"""Networks in CIDR form."""

from __future__ import annotations

import ipaddress
from typing import Any, Self


class Network:
    """A network in CIDR form, as `10.0.0.0/8`, or one address."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._network = ipaddress.ip_network(text)

    def holds(self, address: str) -> bool:
        """Whether the address is in it, also an IPv4 address that stands in an IPv6 one (`::ffff:10.0.0.1`)."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(each is not None and each in self._network for each in (found, getattr(found, "ipv4_mapped", None)))

    @classmethod
    def read(cls, data: Any) -> Self:
        try:
            return cls(str(data))
        except ValueError:
            raise ValueError(f"{data!r} is no network; write it like {_nearest(data)}") from None

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "description": cls.__doc__}


def _nearest(data: Any) -> str:
    """The network that an address with its bits set stands in, or examples."""
    try:
        return str(ipaddress.ip_network(str(data), strict=False))
    except ValueError:
        return "10.0.0.0/8 or 192.0.2.7"
