"""Calls from one service to another, each under the caller's own signed identity."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
import msgspec
import structlog
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shoal.errors import UnavailableError
from shoal.identity import HEADER, Issuer

T = TypeVar("T")
_TRACE = TraceContextTextMapPropagator()


class PeerUnavailableError(UnavailableError):
    """Another part of the suite cannot be reached right now; try again."""

    code = "upstream_unavailable"


class Peers:
    """The other services of the suite.

    Args:
        addresses: Where they answer: `host:port` by name.
        issuer: Signs each call as this service.
        client: Bounds each step of a call.
        deadline_s: How long a whole call may take, however slowly the answer drips.
    """

    def __init__(
        self, addresses: Mapping[str, str], *, issuer: Issuer, client: httpx.AsyncClient, deadline_s: float = 5
    ) -> None:
        self._addresses = dict(addresses)
        self._deadline_s = deadline_s
        self._issuer = issuer
        self._client = client

    async def get(self, service: str, path: str, answer: type[T], **query: str | int) -> T:
        """Read something from a peer.

        Raises:
            PeerUnavailableError: No answer, or an answer that is no success.
        """
        response = await self._call("GET", service, path, query=query, body=None)
        return _decode(response, answer)

    async def find(self, service: str, path: str, body: Any, answer: type[T]) -> T | None:
        """Ask a peer about something by POST; None when it does not know it (404).

        Raises:
            PeerUnavailableError: No answer, or an answer that is neither success nor 404.
        """
        response = await self._call("POST", service, path, query={}, body=body)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return _decode(response, answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _call(
        self, method: str, service: str, path: str, *, query: Mapping[str, str | int], body: Any
    ) -> httpx.Response:
        if service not in self._addresses:
            raise PeerUnavailableError(f"The address of {service} is not configured.")
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._client.request(
                    method,
                    f"http://{self._addresses[service]}{path}",
                    params=dict(query),
                    content=None if body is None else msgspec.json.encode(body),
                    headers=self._headers(service),
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise PeerUnavailableError(f"{service} does not answer.", retry_after_s=1) from error

    def _headers(self, service: str) -> dict[str, str]:
        """Say who calls, and on account of which request and trace."""
        headers = {HEADER.decode(): self._issuer.issue_own(audience=service), "content-type": "application/json"}
        if request_id := structlog.contextvars.get_contextvars().get("request_id"):
            headers["x-request-id"] = str(request_id)
        _TRACE.inject(headers)
        return headers


def _decode(response: httpx.Response, answer: type[T]) -> T:
    if not response.is_success:
        raise PeerUnavailableError(f"A peer answered {response.status_code}.", retry_after_s=1)
    try:
        return msgspec.json.decode(response.content, type=answer)
    except msgspec.DecodeError as error:
        raise PeerUnavailableError("A peer answered what we cannot read.") from error
