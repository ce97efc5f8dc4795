"""A cluster as the orchestrator meets it: an API server behind a strict relay.

The relay passes on, as the orchestrator's account, the calls that the reconciler makes and nothing else: what it does
not know it refuses, and remembers as a violation. It counts writes, and injects faults on the wire where a cluster has
them. Who answers behind it, the double or a real API server, no test can tell.
"""

import asyncio
import json
from pathlib import Path

import aiohttp
from aiohttp import web
from api_hand import Hand, place_of
from api_node import Node
from api_objects import RefusalError, status_of
from api_servers import Server, kubeconfig_for
from msgspec import Struct

TOKEN = "a-token-of-a-service-account"
QUERIES = {
    "GET": {"labelSelector", "watch", "resourceVersion", "timeoutSeconds", "allowWatchBookmarks"},
    "PATCH": {"fieldManager", "force"},
    "DELETE": set[str](),
    "LOG": {"container", "follow", "tailLines", "timestamps", "sinceTime"},
}
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
MISTAKES = {400, 401, 405, 415}
"""Answers of a server that only a fault of ours explains."""


class Stream(Struct, eq=False):
    """A watch or a log that is being read."""

    request: web.Request
    response: web.StreamResponse
    is_watch: bool


class Cluster(Hand):
    """One namespace of a cluster."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.kubeconfig, server.namespace)
        self.writes: list[tuple[str, str, str]] = []
        self.calls = 0
        self.violations: list[str] = []
        self.is_dead = False
        """Every connection is cut, as if the server had died."""
        self.is_frozen = False
        """Watches say nothing and do not end."""
        self.dies_after: int | None = None
        """Dies when so many more writes were made."""
        self.streams: list[Stream] = []
        self.say = server.say
        self.node = Node(self, has_controllers=server.has_controllers)
        self.account = Hand(server.orchestrator, server.namespace)
        """May what the orchestrator may."""
        self._server = server
        self._faults: list[tuple[str, str, int, str]] = []
        self._runner: web.AppRunner | None = None
        self._playing: asyncio.Task[None] | None = None
        self._url = ""

    async def start(self) -> None:
        await self.open()
        await self.account.open()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        if not self._server.has_nodes:
            self._playing = asyncio.create_task(self.node.run())

    async def stop(self) -> None:
        self.is_frozen = False
        if self._runner is not None:
            await self._runner.cleanup()
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        await self.account.close()
        await self.close()

    def kubeconfig(self, folder: Path) -> str:
        """Write the orchestrator's kubeconfig; returns its path."""
        return kubeconfig_for(self._url, TOKEN, folder / "kubeconfig.json")

    # faults

    def fail(self, method: str, plural: str, status: int, message: str = "injected", *, times: int = 1) -> None:
        """Answer the next requests of a kind so, or those of a part of it, such as `pods/log`."""
        self._faults += [(method, plural, status, message)] * times

    async def cut_watches(self) -> None:
        """Break every stream in the middle."""
        for stream in self.streams:
            if stream.request.transport is not None:
                stream.request.transport.abort()

    async def forget_history(self) -> None:
        """Tell every watch that the changes it waits for are forgotten: 410."""
        for stream in [one for one in self.streams if one.is_watch]:
            await stream.response.write(json.dumps({"type": "ERROR", "object": GONE}).encode() + b"\n")

    # HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        if self.is_dead:
            return self._hang_up(request)
        try:
            plural, rest = self._checked(request)
            self._trip(request.method, "/".join([plural, *rest[1:]]))
            if request.query.get("watch") == "true" or rest[1:] == ["log"]:
                return await self._stream(request)
            return await asyncio.shield(self._pass_on(request, plural, *rest))  # a write that is made is counted
        except RefusalError as refusal:
            return status_of(refusal)
        except Exception as error:
            self.violations.append(f"{request.method} {request.path_qs}: {error!r}")
            raise

    def _hang_up(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _checked(self, request: web.Request) -> tuple[str, list[str]]:
        """Tell what a call is about: the kind, and what follows it in the path."""
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise self._violation(request, 401, "Unauthorized")
        if (found := place_of(request.path, self.namespace)) is None:
            raise self._violation(request, 404, "no such path")
        plural, *rest = found
        is_log = rest[1:] == ["log"] and plural == "pods"
        unknown = set(request.query) - QUERIES.get("LOG" if is_log else request.method, set())
        is_vague = request.method not in QUERIES or (request.method != "GET" and not rest)
        if unknown or is_vague or len(rest) > 1 + is_log:
            raise self._violation(request, 405, f"not a call that instances need: {unknown or rest}")
        if plural == "secrets" and not rest:
            raise self._violation(request, 403, "secrets cannot be listed")
        is_apply = request.content_type == "application/apply-patch+yaml" and "fieldManager" in request.query
        if request.method == "PATCH" and not is_apply:
            raise self._violation(request, 415, "only server-side apply")
        return plural, rest

    def _violation(self, request: web.Request, status: int, why: str) -> RefusalError:
        self.violations.append(f"{request.method} {request.path_qs}: {why}")
        return RefusalError(status, "BadRequest", why)

    def _trip(self, method: str, plural: str) -> None:
        for fault in self._faults:
            if fault[:2] == (method, plural):
                self._faults.remove(fault)
                raise RefusalError(fault[2], "Injected", fault[3])

    async def _pass_on(self, request: web.Request, plural: str, name: str = "") -> web.StreamResponse:
        content = await request.read()
        async with self.account.asking(request.method, request.path_qs, content, request.content_type) as answer:
            told, status = await answer.read(), answer.status
        if status in MISTAKES:
            raise self._violation(request, status, told.decode())
        if request.method != "GET" and status < 300:
            self.writes.append((request.method, plural, name))
            if self.dies_after is not None:
                self.dies_after -= 1
                if self.dies_after <= 0:
                    self.is_dead, self.dies_after = True, None
                    return self._hang_up(request)
        return web.Response(body=told, status=status, content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        async with self.account.asking("GET", request.path_qs) as answer:
            if answer.status != 200:
                return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")
            stream = Stream(request, web.StreamResponse(), request.query.get("watch") == "true")
            await stream.response.prepare(request)
            self.streams.append(stream)
            try:
                async for piece in answer.content.iter_any():
                    await self._thawed(stream)
                    await stream.response.write(piece)
                await self._thawed(stream)
            except (ConnectionError, aiohttp.ClientError):
                pass
            finally:
                self.streams.remove(stream)
            return stream.response

    async def _thawed(self, stream: Stream) -> None:
        while self.is_frozen and stream.is_watch:
            await asyncio.sleep(0.05)
