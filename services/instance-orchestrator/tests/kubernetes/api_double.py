"""A Kubernetes API server for tests, over real HTTP, with the controllers and the node that instances need.

It answers the calls that the reconciler makes and nothing else: what it does not know it refuses, and remembers as a
violation. Faults are injected where a cluster has them.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web
from api_objects import Object, RefusalError, applied, check_change, check_schema, conflicts, hash_of, with_defaults

NAMESPACE = "bots"
TOKEN = "a-token-of-a-service-account"
PLURALS = {
    "configmaps": "/api/v1",
    "secrets": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "services": "/api/v1",
    "pods": "/api/v1",
    "deployments": "/apis/apps/v1",
}
QUERIES = {
    "GET": {"labelSelector", "watch", "resourceVersion", "timeoutSeconds", "allowWatchBookmarks"},
    "PATCH": {"fieldManager", "force"},
    "DELETE": set[str](),
    "LOG": {"container", "follow", "tailLines", "timestamps", "sinceTime"},
}
Key = tuple[str, str]


class ApiDouble:
    """One cluster with one namespace."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.writes: list[tuple[str, str, str]] = []
        self.calls = 0
        self.violations: list[str] = []
        self.logs: dict[str, list[tuple[str, str]]] = {}
        self.start_s, self.stop_s = 0.02, 0.02
        self.is_dead = False
        """Every connection is cut, as if we had died."""
        self.is_frozen = False
        """Watches say nothing and do not end."""
        self.are_volumes_lingering = False
        self.dies_after: int | None = None
        """Dies when so many more writes were made."""
        self._faults: list[tuple[str, str, int, str]] = []
        self._applied: dict[Key, dict[str, Object]] = {}
        self._events: list[tuple[int, str, str, Object]] = []
        self._version = 100
        self._oldest = 0
        self._changed = asyncio.Event()
        self.streams: list[web.Request] = []
        """Watches and logs that are being read."""
        self._runner: web.AppRunner | None = None
        self._node: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._node = asyncio.create_task(self._run_node())

    async def stop(self) -> None:
        if self._node is not None:
            self._node.cancel()
        self.is_frozen = False
        self._wake()
        if self._runner is not None:
            await self._runner.cleanup()

    def kubeconfig(self, folder: Path) -> str:
        """Write a kubeconfig for this cluster; returns its path."""
        file = folder / "kubeconfig.json"
        named = {"name": "double"}
        file.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "double",
                    "clusters": [named | {"cluster": {"server": self.url}}],
                    "users": [named | {"user": {"token": TOKEN}}],
                    "contexts": [named | {"context": {"cluster": "double", "user": "double"}}],
                }
            )
        )
        return str(file)

    # what tests look at and do by hand

    def get(self, plural: str, name: str) -> Object:
        return self.objects[plural, name]

    def names(self, plural: str) -> list[str]:
        return sorted(name for kind, name in self.objects if kind == plural)

    def pods(self) -> list[Object]:
        return [one for (plural, _), one in self.objects.items() if plural == "pods"]

    def edit(self, plural: str, name: str, change: Callable[[Object], None]) -> None:
        """Change an object by hand."""
        body = deepcopy(self.objects[plural, name])
        change(body)
        self._store(plural, body, self.objects[plural, name])

    def put(self, plural: str, body: Object) -> None:
        """Add an object by hand."""
        self._store(plural, deepcopy(body), None)

    def drop(self, plural: str, name: str) -> None:
        """Delete an object by hand."""
        self._delete(plural, name)

    def fail(self, method: str, plural: str, status: int, message: str = "injected", *, times: int = 1) -> None:
        """Answer the next requests of a kind so."""
        self._faults += [(method, plural, status, message)] * times

    def cut_watches(self) -> None:
        """Break every stream in the middle."""
        for request in list(self.streams):
            if request.transport is not None:
                request.transport.abort()

    def forget_history(self) -> None:
        """Forget all changes so far: who watches from there is told 410."""
        self._oldest = self._version
        self._events.clear()

    def say(self, pod: str, *lines: str) -> None:
        """Write into a pod's log."""
        for line in lines:
            said = self.logs.setdefault(pod, [])
            said.append((f"2026-02-05T10:30:00.{len(said):09d}Z", line))
        self._wake()

    # HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        if self.is_dead:
            return self._hang_up(request)
        try:
            self._check(request)
            return await self._route(request)
        except RefusalError as refusal:
            return _status(refusal)
        except Exception as error:
            self.violations.append(f"{request.method} {request.path_qs}: {error!r}")
            raise

    def _hang_up(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _check(self, request: web.Request) -> None:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            self._object_to(request, 401, "Unauthorized")

    def _object_to(self, request: web.Request, status: int, why: str) -> None:
        self.violations.append(f"{request.method} {request.path_qs}: {why}")
        raise RefusalError(status, "BadRequest", why)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.split("/")
        for plural, root in PLURALS.items():
            prefix = [*root.split("/"), "namespaces", NAMESPACE, plural]
            if parts[: len(prefix)] == prefix:
                return await self._answer(request, plural, parts[len(prefix) :])
        self._object_to(request, 404, "no such path")
        raise AssertionError

    async def _answer(self, request: web.Request, plural: str, rest: list[str]) -> web.StreamResponse:
        is_log = rest[1:] == ["log"] and plural == "pods"
        unknown = set(request.query) - QUERIES.get("LOG" if is_log else request.method, set())
        if unknown or len(rest) > 1 + is_log:
            self._object_to(request, 400, f"unknown: {unknown or rest}")
        for fault in self._faults:
            if fault[:2] == (request.method, plural):
                self._faults.remove(fault)
                raise RefusalError(fault[2], "Injected", fault[3])
        match request.method, len(rest):
            case "GET", 0 if request.query.get("watch") == "true":
                return await self._watch(request, plural)
            case "GET", 0:
                return self._list(request, plural)
            case "GET", 1:
                return web.json_response(self._find(plural, rest[0]))
            case "GET", 2:
                return await self._log(request, rest[0])
            case "PATCH", 1:
                body = await self._read(request)
                return self._written(request, plural, rest[0], lambda: self._apply(request, plural, rest[0], body))
            case "DELETE", 1:
                options = await request.json() if request.can_read_body else {}
                return self._written(request, plural, rest[0], lambda: self._remove(plural, rest[0], options))
        self._object_to(request, 405, "not a call that instances need")
        raise AssertionError

    async def _read(self, request: web.Request) -> Object:
        if request.content_type != "application/apply-patch+yaml" or "fieldManager" not in request.query:
            self._object_to(request, 415, "only server-side apply")
        body: Object = await request.json()
        return body

    def _written(self, request: web.Request, plural: str, name: str, write: Callable[[], Object]) -> web.StreamResponse:
        answer = write()
        self.writes.append((request.method, plural, name))
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after <= 0:
                self.is_dead, self.dies_after = True, None
                return self._hang_up(request)
        return web.json_response(answer)

    def _find(self, plural: str, name: str) -> Object:
        if (plural, name) not in self.objects:
            raise RefusalError(404, "NotFound", f'{plural} "{name}" not found')
        return self.objects[plural, name]

    def _list(self, request: web.Request, plural: str) -> web.Response:
        if plural == "secrets":
            self._object_to(request, 403, "secrets cannot be listed")
        found = [one for (kind, _), one in self.objects.items() if kind == plural and _selects(request, one)]
        return web.json_response({"items": found, "metadata": {"resourceVersion": str(self._version)}})

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.streams.append(request)
        seen = int(request.query["resourceVersion"])
        deadline = asyncio.get_running_loop().time() + float(request.query.get("timeoutSeconds", "1800"))
        try:
            while True:
                self._changed.clear()
                if seen < self._oldest and not self.is_frozen:
                    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
                    await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
                    return response
                for version, kind, changed, body in [] if self.is_frozen else list(self._events):
                    if version > seen and changed == plural and _selects(request, body):
                        await response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
                    seen = max(seen, version)
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0 and not self.is_frozen:
                    return response
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), max(left, 0.05))
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            self.streams.remove(request)

    async def _log(self, request: web.Request, pod: str) -> web.StreamResponse:
        self._find("pods", pod)
        response = web.StreamResponse()
        await response.prepare(request)
        self.streams.append(request)
        said = self.logs.get(pod, [])
        since, tail = request.query.get("sinceTime"), request.query.get("tailLines")
        place = len(said) - min(int(tail), len(said)) if tail is not None else 0
        try:
            while True:
                self._changed.clear()
                said = self.logs.get(pod, [])
                for time, line in said[place:]:
                    if since is None or time[:19] >= since[:19]:
                        await response.write(f"{time} {line}\n".encode())
                place = len(said)
                if request.query.get("follow") != "true" or ("pods", pod) not in self.objects:
                    return response
                await self._changed.wait()
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            self.streams.remove(request)

    # objects

    def _apply(self, request: web.Request, plural: str, name: str, body: Object) -> Object:
        try:
            check_schema(body)
        except RefusalError as refusal:
            self._object_to(request, refusal.status, str(refusal))
        manager, key = request.query["fieldManager"], (plural, name)
        if body["metadata"]["name"] != name:
            self._object_to(request, 400, "the name in the path is not that of the object")
        others = [one for who, one in self._applied.get(key, {}).items() if who != manager]
        live = self.objects.get(key)
        if live is not None and request.query.get("force") != "true" and (clash := conflicts(live, body, others)):
            raise RefusalError(409, "Conflict", f"Apply failed with conflicts: {clash}")
        merged = applied(live or {}, self._applied.get(key, {}).get(manager, {}), body)
        merged = with_defaults(plural, merged, self._node_ports())
        if live is not None:
            check_change(plural, live, merged)
        if not any(entry["manager"] == manager for entry in merged["metadata"].get("managedFields", [])):
            entry = {"manager": manager, "operation": "Apply"}
            merged["metadata"]["managedFields"] = [*merged["metadata"].get("managedFields", []), entry]
        self._applied.setdefault(key, {})[manager] = deepcopy(body)
        return self._store(plural, merged, live)

    def _remove(self, plural: str, name: str, options: Object) -> Object:
        live = self._find(plural, name)
        wanted = options.get("preconditions", {}).get("uid")
        if wanted is not None and wanted != live["metadata"]["uid"]:
            raise RefusalError(409, "Conflict", "the UID in the precondition does not match")
        self._delete(plural, name)
        return {"kind": "Status", "status": "Success"}

    def _delete(self, plural: str, name: str) -> None:
        live = self.objects[plural, name]
        if plural in {"pods", "persistentvolumeclaims"}:
            body = deepcopy(live)
            body["metadata"].setdefault("deletionTimestamp", _now())
            self._store(plural, body, live)
        else:
            self._forget(plural, name)

    def _forget(self, plural: str, name: str) -> None:
        gone = self.objects.pop((plural, name))
        self._applied.pop((plural, name), None)
        self._tell("DELETED", plural, gone)

    def _store(self, plural: str, body: Object, live: Object | None) -> Object:
        if live is not None and body == live:
            return live
        metadata = body["metadata"]
        if live is None:
            metadata |= {"uid": str(uuid4()), "creationTimestamp": _now(), "namespace": NAMESPACE, "generation": 1}
        elif body.get("spec") != live.get("spec"):
            metadata["generation"] = metadata.get("generation", 1) + 1
        self.objects[plural, metadata["name"]] = body
        self._tell("ADDED" if live is None else "MODIFIED", plural, body)
        return body

    def _tell(self, kind: str, plural: str, body: Object) -> None:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self._events.append((self._version, kind, plural, deepcopy(body)))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _node_ports(self) -> dict[int, str]:
        return {
            port["nodePort"]: name
            for (plural, name), one in self.objects.items()
            if plural == "services"
            for port in one["spec"]["ports"]
            if "nodePort" in port
        }

    # controllers and the node

    async def _run_node(self) -> None:
        since: dict[str, float] = {}
        while True:
            await asyncio.sleep(0.01)
            now = asyncio.get_running_loop().time()
            for pod in list(self.pods()):
                self._advance(pod, now, since)
            self._follow_deployments()
            self._release_volumes()

    def _advance(self, pod: Object, now: float, since: dict[str, float]) -> None:
        name, is_going = pod["metadata"]["name"], "deletionTimestamp" in pod["metadata"]
        age = now - since.setdefault(f"{name}/{is_going}", now)
        if is_going and age >= self.stop_s:
            self._forget("pods", name)
        elif not is_going and pod["status"]["phase"] == "Pending" and age >= self.start_s:
            ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            self.edit("pods", name, lambda body: body.update(status=ready))

    def _follow_deployments(self) -> None:
        wanted = {name: one for (plural, name), one in self.objects.items() if plural == "deployments"}
        for pod in self.pods():
            owner = wanted.get(pod["metadata"]["labels"]["app"])
            is_current = (
                owner is not None
                and owner["spec"]["replicas"]
                and pod["metadata"]["labels"]["pod-template-hash"] == hash_of(owner["spec"]["template"])
            )
            if not is_current and "deletionTimestamp" not in pod["metadata"]:
                self._delete("pods", pod["metadata"]["name"])
        for name, one in wanted.items():
            mine = [pod for pod in self.pods() if pod["metadata"]["labels"]["app"] == name]
            if one["spec"]["replicas"] and not mine:  # Recreate: the old one goes first
                self._make_pod(name, one)

    def _make_pod(self, deployment: str, owner: Object) -> None:
        template = deepcopy(owner["spec"]["template"])
        revision = hash_of(owner["spec"]["template"])
        metadata = template["metadata"] | {"name": f"{deployment}-{revision}-{uuid4().hex[:5]}"}
        metadata["labels"] = metadata["labels"] | {"pod-template-hash": revision}
        self._store("pods", {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}, None)

    def _release_volumes(self) -> None:
        used = {
            volume["persistentVolumeClaim"]["claimName"]
            for pod in self.pods()
            for volume in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        }
        for name in self.names("persistentvolumeclaims"):
            is_going = "deletionTimestamp" in self.objects["persistentvolumeclaims", name]["metadata"]
            if is_going and name not in used and not self.are_volumes_lingering:
                self._forget("persistentvolumeclaims", name)


def _selects(request: web.Request, one: Object) -> bool:
    labels = one["metadata"].get("labels", {})
    wanted = filter(None, request.query.get("labelSelector", "").split(","))
    return all(labels.get(term.partition("=")[0]) == term.partition("=")[2] for term in wanted)


def _status(refusal: RefusalError) -> web.Response:
    body: dict[str, Any] = {
        "kind": "Status",
        "status": "Failure",
        "message": str(refusal),
        "reason": refusal.reason,
        "code": refusal.status,
    }
    headers = {"Retry-After": "1"} if refusal.status == 429 else {}
    return web.json_response(body, status=refusal.status, headers=headers)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
