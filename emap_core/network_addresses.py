"""Addresses of other machines: which may be asked, how, and where their answers are kept.

``EMAP_FETCH`` says which may be asked: ``any``, only ``public`` ones (not this machine or its
network, which a browser's user could otherwise look into), or ``none``.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import urllib.request
from pathlib import Path
from typing import Any

from emap_core.errors import AccessError, SettingError

MAY_FETCH = ("any", "public", "none")
"""Values of ``EMAP_FETCH``."""
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses of a server that may answer differently a moment later."""

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_CARRIES_IPV4 = tuple(
    # Compatible and mapped (RFC 4291), translated (RFC 2765), of the well-known gateway (RFC 6052).
    map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
_LOCAL_TRANSLATION = ipaddress.IPv6Network("64:ff9b:1::/48")
"""A network's own gateways (RFC 8215), which Python up to 3.12 considers global."""


class RefusedError(OSError):
    """A forbidden address, or an answer that is too large; trying again would not help."""


def whom_to_ask(refused: str) -> str:
    """Return which addresses ``EMAP_FETCH`` allows.

    Parameters
    ----------
    refused : str
        The error message if none may be asked.

    Raises
    ------
    AccessError
        If none.
    SettingError
        If the variable is not one of `MAY_FETCH`.
    """
    whom = os.environ.get("EMAP_FETCH") or "any"
    if whom not in MAY_FETCH:
        raise SettingError(f"EMAP_FETCH is {whom!r}; expected {', '.join(MAY_FETCH)}")
    if whom == "none":
        raise AccessError(refused)
    return whom


def cache_folder() -> Path:
    """Return where answers are kept: ``EMAP_CACHE``, or the user's cache folder."""
    if named := os.environ.get("EMAP_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emap-lens"


def opener(whom: str, follows: bool = True) -> urllib.request.OpenerDirector:
    """Return an opener for http and https addresses.

    Parameters
    ----------
    whom : {"any", "public"}
    follows : bool
        Whether it follows redirects, as far as `whom` allows. It must not if a key is sent along.
    """
    found = urllib.request.OpenerDirector()
    handlers: list[Any] = [
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ]
    if follows:
        handlers.append(urllib.request.HTTPRedirectHandler())
    if whom == "public":
        # No proxy: it could reach addresses that this machine may not.
        handlers += [_PublicHTTP(), _PublicHTTPS()]
    else:
        handlers += [
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
        ]
    for handler in handlers:
        found.add_handler(handler)
    return found


def check_public(host: str, address: str) -> None:
    """Raise a RefusedError if an address belongs to this machine or its network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if not all(map(_is_public, (found, *_carried(found)))):
        raise RefusedError(
            f"{host} is {address}, an address of this machine or its network, which a browser's "
            "user may not ask (EMAP_FETCH=any allows it)"
        )


def _is_public(address: _IPAddress) -> bool:
    local = address.version == 6 and (address.is_site_local or address in _LOCAL_TRANSLATION)
    return address.is_global and not address.is_multicast and not local


def _carried(address: _IPAddress) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 address that a network may translate an IPv6 address to, if any."""
    if address.version == 4:
        return []
    if address.sixtofour is not None:
        return [address.sixtofour]
    return [
        ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        for network in _CARRIES_IPV4
        if address in network
    ]


class _PublicConnection(http.client.HTTPConnection):
    """A connection to a public address only."""

    def connect(self) -> None:
        # Check the address before and after: a name may resolve differently the second time.
        for *_, place in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            check_public(self.host, str(place[0]))
        super().connect()
        check_public(self.host, self.sock.getpeername()[0])


class _PublicSecureConnection(http.client.HTTPSConnection, _PublicConnection):
    """The same, encrypted: the first base class wraps the socket of the second."""


class _PublicHTTP(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PublicConnection, request)


class _PublicHTTPS(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PublicSecureConnection, request)
