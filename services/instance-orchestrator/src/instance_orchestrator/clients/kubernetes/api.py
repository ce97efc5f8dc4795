"""The Kubernetes API, as far as instances need it: plain JSON over kubernetes_asyncio's connection and credentials."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
from kubernetes_asyncio import client as kubernetes, config
from msgspec import Struct

from instance_orchestrator.clients.backend import BackendUnavailableError
from instance_orchestrator.clients.kubernetes.kinds import POD, Kind

MANAGER = "shoal-instance-orchestrator"
ANSWER_S = 10.0
APPLY = "application/apply-patch+yaml"
NO_SUCCESS, BAD_REQUEST, NOT_FOUND, CONFLICT, GONE, TOO_MANY, FAULT = 300, 400, 404, 409, 410, 429, 500

Object = dict[str, Any]


class RefusedError(Exception):
    """The API will not take this, however often it is sent."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class ExpiredError(RefusedError):
    """What was watched from is too long ago: list anew."""


class Event(Struct, frozen=True):
    """A change that a watch told of."""

    type: str
    object: Object


class KubernetesApi:
    """One cluster's API, in one namespace.

    Args:
        namespace: Where instances are.
        kubeconfig: A file; empty for the pod's own service account.
    """

    def __init__(self, *, namespace: str, kubeconfig: str) -> None:
        self._namespace = namespace
        self._kubeconfig = kubeconfig
        self._client: Any = None
        self._opening = asyncio.Lock()
        self.problem: str | None = "not connected yet"

    async def get(self, kind: Kind, name: str) -> Object | None:
        """Read an object; None when there is none."""
        status, body = await self._ask("GET", f"{kind.path}/{name}")
        return None if status == NOT_FOUND else _checked(status, body)

    async def list(self, kind: Kind, selector: str) -> tuple[Sequence[Object], str]:
        """Read the objects with these labels, and the version to watch from."""
        body = _checked(*await self._ask("GET", kind.path, {"labelSelector": selector}))
        return body["items"], body["metadata"]["resourceVersion"]

    async def apply(self, kind: Kind, body: Object) -> Object:
        """Make an object, or what we say of it, so (server-side apply); what others say of it stays.

        Raises:
            RefusedError: The API will not have it so.
            BackendUnavailableError: It cannot be done now.
        """
        path, query = f"{kind.path}/{body['metadata']['name']}", {"fieldManager": MANAGER, "force": "true"}
        return _checked(*await self._ask("PATCH", path, query, body=body, media_type=APPLY))

    async def delete(self, kind: Kind, name: str, *, uid: str) -> None:
        """Have an object deleted, this very one; whether it is gone is to be looked at."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        status, body = await self._ask("DELETE", f"{kind.path}/{name}", body=options, media_type="application/json")
        if status not in {NOT_FOUND, CONFLICT}:  # gone, or another one by that name already
            _checked(status, body)

    async def watch(self, kind: Kind, selector: str, *, version: str, for_s: int) -> AsyncGenerator[Event, None]:
        """Yield changes since a version, for so long at most; a connection that says nothing at all is given up.

        Raises:
            ExpiredError: The version is too old.
            RefusedError: We may not watch.
            BackendUnavailableError: The connection broke or froze.
        """
        query = {
            "labelSelector": selector,
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(for_s),
            "allowWatchBookmarks": "true",
        }
        async with self._streaming(kind.path, query, for_s=for_s + 5) as response:
            async for line in response.content:
                event = msgspec.json.decode(line, type=Event)
                if event.type == "ERROR":
                    message = f"a watch failed: {event.object.get('message')}"
                    if event.object.get("code") == GONE:
                        raise ExpiredError(GONE, message)
                    raise BackendUnavailableError(message)
                yield event

    async def log(self, pod: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield what a pod's log says, in pieces; a node answers with the first of them, however long that takes.

        Raises:
            RefusedError: There is no such pod, its container has not started, or we may not read it.
            BackendUnavailableError: The connection broke, or the node does not answer.
        """
        async with self._streaming(f"{POD.path}/{pod}/log", query, for_s=None) as response:
            async for piece in response.content.iter_any():
                yield piece

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Object | None = None,
        media_type: str = "",
    ) -> tuple[int, Object]:
        with self._translated():
            response = await self._call(
                method, path, query, body=body, media_type=media_type, within=aiohttp.ClientTimeout(total=ANSWER_S)
            )
            return response.status, _decoded(await response.read())

    @contextlib.asynccontextmanager
    async def _streaming(
        self, path: str, query: Mapping[str, str], *, for_s: float | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        within = aiohttp.ClientTimeout(total=for_s, sock_connect=ANSWER_S)
        with self._translated():
            response = await self._call("GET", path, query, within=within)
            try:
                if response.status >= NO_SUCCESS:
                    async with asyncio.timeout(ANSWER_S):
                        _checked(response.status, _decoded(await response.read()))
                yield response
            finally:
                response.close()

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        body: Object | None = None,
        media_type: str = "",
        within: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        client = await self._open()
        response: aiohttp.ClientResponse = await client.call_api(
            path,
            method,
            path_params={"namespace": self._namespace},
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json"} | ({"Content-Type": media_type} if media_type else {}),
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=within,
        )
        self.problem = None if response.status < FAULT else f"the API answered {response.status}"
        return response

    async def _open(self) -> Any:
        """Open the client at the first call, inside the loop that it belongs to."""
        async with self._opening:
            if self._client is None:
                settings = kubernetes.Configuration()
                try:
                    if self._kubeconfig:
                        await config.load_kube_config(self._kubeconfig, client_configuration=settings)
                    else:
                        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
                except (config.ConfigException, OSError) as error:
                    raise BackendUnavailableError(f"no way to a cluster: {error}") from error
                self._client = kubernetes.ApiClient(settings)
            return self._client

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.problem = f"{type(error).__name__}: {error}"
            raise BackendUnavailableError(f"the API does not answer: {self.problem}") from error
        except BackendUnavailableError as error:
            self.problem = str(error)
            raise


def _checked(status: int, body: Object) -> Object:
    """Return what the API answered.

    Raises:
        RefusedError: It refused.
        BackendUnavailableError: It asks to try again.
    """
    message = str(body.get("message", ""))
    if status in {TOO_MANY, CONFLICT} or status >= FAULT:
        raise BackendUnavailableError(f"the API answered {status}: {message}")
    if status >= NO_SUCCESS:
        refused = ExpiredError if status == GONE else RefusedError
        raise refused(status, message or f"the API answered {status}")
    return body


def _decoded(content: bytes) -> Object:
    """Read an answer; one that is no object becomes an object's message."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"message": content[:200].decode("utf-8", "replace")}
