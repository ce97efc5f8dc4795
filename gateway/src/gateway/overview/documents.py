"""One OpenAPI document of everything that is routed, made of every service's own."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.routes import match
from shoal.identity import GATEWAY
from shoal.peers import Peers, PeerUnavailableError

KEEP_S = 60.0
KEEP_INCOMPLETE_S = 2.0
Document = dict[str, Any]
_REFERENCE = "#/components/schemas/"


class Documents:
    """Reads and merges documents."""

    def __init__(self, *, services: Mapping[str, str], peers: Peers, own: Callable[[], bytes]) -> None:
        self._services = [name for name in services if name != GATEWAY]
        self._peers = peers
        self._own = own
        self._kept: tuple[float, bytes] = (0.0, b"")
        self._turn = asyncio.Lock()

    async def merged(self) -> bytes:
        """Write the merged document; services that do not answer are left out for the moment."""
        async with self._turn:
            if self._kept[0] < time.monotonic():
                documents, is_complete = await self._read()
                keep_s = KEEP_S if is_complete else KEEP_INCOMPLETE_S
                self._kept = (time.monotonic() + keep_s, msgspec.json.encode(merge(documents), order="sorted"))
            return self._kept[1]

    async def _read(self) -> tuple[dict[str, Document], bool]:
        answers = await asyncio.gather(*(self._ask(name) for name in self._services))
        documents: dict[str, Document] = {GATEWAY: msgspec.json.decode(self._own())}
        documents |= {name: answer for name, answer in zip(self._services, answers, strict=True) if answer is not None}
        return documents, None not in answers

    async def _ask(self, service: str) -> Document | None:
        try:
            async with asyncio.timeout(2):
                return await self._peers.get(service, "/internal/openapi.json", Document)
        except (PeerUnavailableError, TimeoutError):
            return None


def merge(documents: Mapping[str, Document]) -> Document:
    """Make one document of many: only what is routed to its service, schemas that collide named after their service."""
    merged: Document = {
        "openapi": "3.1.0",
        "info": {"title": "Shoal", "version": "0.1.0", "description": "Everything that the gateway answers."},
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": {}},
        "security": [{"bearer": []}, {"session": []}],
    }
    schemas = merged["components"]["schemas"]
    for service, document in documents.items():
        own = document.get("components", {}).get("schemas", {})
        names = {name: name for name in own}
        for name, schema in own.items():
            if name in schemas and schemas[name] != schema:
                names[name] = f"{_camel(service)}{name}"
        schemas |= {names[name]: _renamed(schema, names) for name, schema in own.items()}
        merged["paths"] |= {
            path: _renamed(item, names) for path, item in document.get("paths", {}).items() if _is_routed(path, service)
        }
        merged["components"]["securitySchemes"] |= document.get("components", {}).get("securitySchemes", {})
    return merged


def _is_routed(path: str, service: str) -> bool:
    route = match(path.encode())
    return route is not None and route.service == service


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _reference(item, names) if key == "$ref" and isinstance(item, str) else _renamed(item, names)
            for key, item in value.items()
        }
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def _reference(reference: str, names: Mapping[str, str]) -> str:
    name = reference.removeprefix(_REFERENCE)
    return f"{_REFERENCE}{names.get(name, name)}" if name != reference else reference


def _camel(service: str) -> str:
    return "".join(part.capitalize() for part in service.split("-"))
