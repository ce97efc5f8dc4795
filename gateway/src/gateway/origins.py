"""Whether a page may act with the cookies of a user who is looking at it.

An unsafe request that a cookie vouches for (or that sets one) needs a browser's word that the page is ours (`Sec-
Fetch-Site: same-origin`), or an exact `Origin`, or, where no browser speaks, a body that no form can send. A socket
that a cookie vouches for needs an exact `Origin`, for browsers open those across sites without asking. A page in a
sandbox, such as an instance's own, has the origin `null`, and no cookie counts that its requests might carry.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from gateway.errors import CrossSiteError, FormRefusedError, OriginNeededError, SandboxedPageError

_JSON = re.compile(rb"application/(?:[\w.+-]+\+)?json(?:\s*;.*)?$", re.IGNORECASE)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Origins:
    """Knows which origins are ours: the public address, and what is configured beside it."""

    def __init__(self, public_url: str, further: Iterable[str] = ()) -> None:
        self._ours = {origin.encode() for url in (public_url, *further) for origin in _origins(url)}

    def check_request(self, headers: Mapping[bytes, bytes]) -> None:
        """Let an unsafe request pass.

        Raises:
            CrossSiteError: A page of another site makes it.
            FormRefusedError: No browser tells where it comes from, and its body is none that only our pages can send.
        """
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if site is None and origin is None:
            content_type = headers.get(b"content-type")
            is_json = content_type is not None and _JSON.match(content_type) is not None
            if not is_json and (content_type is not None or _has_body(headers)):
                raise FormRefusedError
        elif site != b"same-origin" and origin not in self._ours:
            raise CrossSiteError

    def check_page(self, headers: Mapping[bytes, bytes]) -> None:
        """Let any request or socket pass that a cookie might vouch for.

        Raises:
            SandboxedPageError: A page in a sandbox makes it.
        """
        if headers.get(b"origin") == b"null":
            raise SandboxedPageError

    def check_socket(self, headers: Mapping[bytes, bytes]) -> None:
        """Let a socket pass that a cookie vouches for.

        Raises:
            OriginNeededError: It has no origin.
            CrossSiteError: Its origin is not ours.
        """
        origin = headers.get(b"origin")
        if origin is None:
            raise OriginNeededError
        if origin not in self._ours:
            raise CrossSiteError


def _origins(url: str) -> Iterable[str]:
    """Write the origin of an address as browsers do; a loopback address has all three names."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port is None or parts.port == usual else f":{parts.port}"
    for name in _LOOPBACK if host in _LOOPBACK else (host,):
        yield f"{parts.scheme}://{name}{port}"


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
