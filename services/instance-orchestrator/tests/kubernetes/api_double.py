"""A bare Kubernetes API server for tests, over real HTTP: what it does with the objects that instances are made of.

It has no controllers and no nodes, and knows the calls of the reconciler and of a test's hand; what it does not know it
refuses, and remembers as a violation.
"""

import asyncio
import contextlib
import json
from copy import deepcopy
from datetime import UTC, datetime
from uuid import uuid4

from aiohttp import web
from api_checks import check_change, check_object, check_started
from api_fields import entries_of, kept, without_empty
from api_hand import place_of
from api_objects import (
    Object,
    RefusalError,
    applied,
    check_schema,
    conflicts,
    status_of,
    with_defaults,
)
from api_rights import check_rights

TOKEN, ACCOUNT_TOKEN = "a-token-of-an-administrator", "a-token-of-the-account-that-was-made"
Key = tuple[str, str]


class ApiDouble:
    """One server with one namespace."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.violations: list[str] = []
        self.logs: dict[str, list[tuple[str, str]]] = {}
        self.url = ""
        self._namespace = ""
        self._granted: list[Object] = []
        self._applied: dict[Key, dict[str, Object]] = {}
        self._events: list[tuple[int, str, str, Object]] = []
        self._version = 100
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._wake()
        if self._runner is not None:
            await self._runner.cleanup()

    def say(self, pod: str, *lines: str) -> None:
        """Write into a pod's log."""
        for line in lines:
            said = self.logs.setdefault(pod, [])
            said.append((f"2026-02-05T10:30:00.{len(said):09d}Z", line))
        self._wake()

    # HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except RefusalError as refusal:
            return status_of(refusal)
        except Exception as error:
            self.violations.append(f"{request.method} {request.path_qs}: {error!r}")
            raise

    def _violation(self, request: web.Request, status: int, why: str) -> RefusalError:
        self.violations.append(f"{request.method} {request.path_qs}: {why}")
        return RefusalError(status, "BadRequest", why)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in {TOKEN, ACCOUNT_TOKEN}:
            raise self._violation(request, 401, "Unauthorized")
        found = place_of(request.path, self._namespace)
        if token == ACCOUNT_TOKEN:
            check_rights(self._granted, request, found, is_there=found is not None and tuple(found) in self.objects)
        if found is not None:
            return await self._answer(request, *found)
        return web.json_response(await self._answer_of_cluster(request))

    async def _answer_of_cluster(self, request: web.Request) -> Object:
        body: Object = await request.json() if request.can_read_body and request.method != "GET" else {}
        match request.method, request.path.rpartition("/"):
            case "POST", ("/api/v1", _, "namespaces"):
                self._namespace = body["metadata"]["name"]
            case "DELETE", ("/api/v1/namespaces", _, name) if name == self._namespace:
                self.objects.clear()
            case "GET", (_, _, "nodes" | "serviceaccounts"):
                return {"items": []}
            case "POST", (_, _, "roles"):
                self._granted = body["rules"]
            case "POST", (_, _, "serviceaccounts" | "rolebindings"):
                pass
            case "POST", (_, _, "token"):
                return {"status": {"token": ACCOUNT_TOKEN}}
            case "POST", ("/apis/storage.k8s.io/v1", _, "storageclasses"):
                pass
            case _:
                raise self._violation(request, 404, "no such path")
        return body

    async def _answer(self, request: web.Request, plural: str, name: str = "", part: str = "") -> web.StreamResponse:
        body = await request.json() if request.can_read_body and request.method != "GET" else {}
        match request.method, bool(name), part:
            case "GET", False, "" if request.query.get("watch") == "true":
                return await self._watch(request, plural)
            case "GET", False, "":
                return self._list(request, plural)
            case "GET", True, "":
                return web.json_response(self._find(plural, name))
            case "GET", True, "log":
                return await self._log(request, name)
            case "PATCH", True, "":
                status = 200 if (plural, name) in self.objects else 201
                return web.json_response(self._apply(request, plural, name, body), status=status)
            case "DELETE", True, "":
                return web.json_response(self._remove(plural, name, body))
            case "POST", False, "":
                return web.json_response(self._create(plural, body), status=201)
            case "PUT", True, "" | "status":
                return web.json_response(self._replace(plural, name, body, part))
        raise self._violation(request, 405, "not a call that is known here")

    def _find(self, plural: str, name: str) -> Object:
        if (plural, name) not in self.objects:
            raise RefusalError(404, "NotFound", f'{plural} "{name}" not found')
        return self.objects[plural, name]

    def _list(self, request: web.Request, plural: str) -> web.Response:
        found = [
            {key: value for key, value in one.items() if key not in {"apiVersion", "kind"}}  # the list's says it
            for (kind, _), one in self.objects.items()
            if kind == plural and _selects(request, one)
        ]
        return web.json_response({"items": found, "metadata": {"resourceVersion": str(self._version)}})

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        seen = int(request.query["resourceVersion"])
        deadline = asyncio.get_running_loop().time() + float(request.query.get("timeoutSeconds", "1800"))
        try:
            while (left := deadline - asyncio.get_running_loop().time()) > 0:
                changed = self._changed
                for version, kind, about, body in list(self._events):
                    if version > seen and about == plural and _selects(request, body):
                        await response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
                    seen = max(seen, version)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), left)
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response

    async def _log(self, request: web.Request, pod: str) -> web.StreamResponse:
        """Tell a log as a node does: not before its container started, and nothing before there is a line."""
        check_started(self._find("pods", pod), request.query["container"])
        response = web.StreamResponse()
        said = self.logs.get(pod, [])
        since, tail = request.query.get("sinceTime"), request.query.get("tailLines")
        place = len(said) - min(int(tail), len(said)) if tail is not None else 0
        try:
            while True:
                changed, said = self._changed, self.logs.get(pod, [])
                for time, line in said[place:]:
                    if since is None or time[:19] >= since[:19]:
                        await response.prepare(request)
                        await response.write(f"{time} {line}\n".encode())
                place = len(said)
                if request.query.get("follow") != "true" or ("pods", pod) not in self.objects:
                    return response
                await changed.wait()
        except (ConnectionError, asyncio.CancelledError):
            return response

    # objects

    def _apply(self, request: web.Request, plural: str, name: str, body: Object) -> Object:
        try:
            check_schema(body)
        except RefusalError as refusal:
            raise self._violation(request, refusal.status, str(refusal)) from refusal
        manager, key, body = request.query["fieldManager"], (plural, name), without_empty(body)
        if body["metadata"]["name"] != name:
            raise self._violation(request, 400, "the name in the path is not that of the object")
        others = [one for who, one in self._applied.get(key, {}).items() if who != manager]
        live = self.objects.get(key)
        if live is not None and request.query.get("force") != "true" and (clash := conflicts(live, body, others)):
            raise RefusalError(409, "Conflict", f"Apply failed with conflicts: {clash}")
        merged = applied(live or {}, self._applied.get(key, {}).get(manager, {}), body)
        merged = without_empty(with_defaults(plural, merged))
        check_object(plural, merged, self.objects)
        if live is not None:
            check_change(plural, live, merged)
        self._applied.setdefault(key, {})[manager] = deepcopy(body)
        return self._store(plural, merged, live)

    def _remove(self, plural: str, name: str, options: Object) -> Object:
        live = self._find(plural, name)
        wanted = options.get("preconditions", {}).get("uid")
        if wanted is not None and wanted != live["metadata"]["uid"]:
            raise RefusalError(409, "Conflict", "the UID in the precondition does not match")
        is_graceful = plural == "pods" and options.get("gracePeriodSeconds") != 0
        if is_graceful or live["metadata"].get("finalizers"):
            body = deepcopy(live)
            body["metadata"].setdefault("deletionTimestamp", _now())
            return self._store(plural, body, live)
        self._forget(plural, name)
        return {"kind": "Status", "status": "Success"}

    def _create(self, plural: str, body: Object) -> Object:
        name = body["metadata"]["name"]
        if (plural, name) in self.objects:
            raise RefusalError(409, "AlreadyExists", f'{plural} "{name}" already exists')
        check_schema(body)
        body = without_empty(with_defaults(plural, body))
        check_object(plural, body, self.objects)
        return self._store(plural, body, None)

    def _replace(self, plural: str, name: str, body: Object, part: str) -> Object:
        live = self._find(plural, name)
        if body["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise RefusalError(409, "Conflict", "the object has been modified")
        if part:
            return self._store(plural, deepcopy(live) | {"status": body["status"]}, live)
        body = without_empty(with_defaults(plural, body))
        check_object(plural, body, self.objects)
        check_change(plural, live, body)
        said = self._applied.get((plural, name), {})
        said |= {who: kept(what, live, body) for who, what in said.items()}
        if "deletionTimestamp" in live["metadata"] and not body["metadata"].get("finalizers"):
            self._forget(plural, name)
            return body
        return self._store(plural, body | ({"status": live["status"]} if "status" in live else {}), live)

    def _forget(self, plural: str, name: str) -> None:
        gone = self.objects.pop((plural, name))
        self._applied.pop((plural, name), None)
        self._tell("DELETED", plural, gone)

    def _store(self, plural: str, body: Object, live: Object | None) -> Object:
        metadata = body["metadata"]
        metadata["managedFields"] = entries_of(self._applied.get((plural, metadata["name"]), {}), live)
        if live is not None and body == live:
            return live
        if live is None:
            metadata |= {
                "uid": str(uuid4()),
                "creationTimestamp": _now(),
                "namespace": self._namespace,
                "generation": 1,
            }
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


def _selects(request: web.Request, one: Object) -> bool:
    labels = one["metadata"].get("labels", {})
    wanted = filter(None, request.query.get("labelSelector", "").split(","))
    return all(labels.get(term.partition("=")[0]) == term.partition("=")[2] for term in wanted)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
