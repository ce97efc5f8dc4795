"""The hand of a test in a cluster: reads and changes objects through the API, as an administrator does."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import aiohttp
from api_objects import Object, RefusalError
from kubernetes_asyncio import client as kubernetes, config

from shoal.testing.suite import eventually

KINDS = {
    "configmaps": ("/api/v1", "ConfigMap"),
    "secrets": ("/api/v1", "Secret"),
    "persistentvolumeclaims": ("/api/v1", "PersistentVolumeClaim"),
    "services": ("/api/v1", "Service"),
    "pods": ("/api/v1", "Pod"),
    "deployments": ("/apis/apps/v1", "Deployment"),
}
HOLD = "shoal.test/hold"
NOT_OURS = {"kube-root-ca.crt", "kubernetes.io/service-account-token"}
"""What a cluster puts into a namespace, by name or type: its certificate, and before 1.24 tokens of accounts."""


def place_of(path: str, namespace: str) -> list[str] | None:
    """Tell what a path is about: the kind, and what follows it; None when it is not about objects of the namespace."""
    for plural, (root, _) in KINDS.items():
        place, parts = f"{root}/namespaces/{namespace}/{plural}".split("/"), path.split("/")
        if parts[: len(place)] == place:
            return parts[len(place) - 1 :]
    return None


class Hand:
    """Works in one namespace of the cluster of a kubeconfig."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.namespace = namespace
        self._kubeconfig = kubeconfig
        self._client: Any = None

    async def open(self) -> None:
        settings = kubernetes.Configuration()
        await config.load_kube_config(self._kubeconfig, client_configuration=settings)
        self._client = kubernetes.ApiClient(settings)

    async def close(self) -> None:
        await self._client.close()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        await self.open()
        try:
            yield self
        finally:
            await self.close()

    @property
    def url(self) -> str:
        """Where the server is."""
        return str(self._client.configuration.host)

    @contextlib.asynccontextmanager
    async def asking(
        self, method: str, path: str, content: bytes | None = None, media_type: str = "application/json"
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request as it is, with the credentials of the kubeconfig."""
        headers = {"Accept": "application/json", "Content-Type": media_type}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"])
        session, within = self._client.rest_client.pool_manager, aiohttp.ClientTimeout(total=None)
        async with session.request(
            method, f"{self.url}{path}", data=content, headers=headers, timeout=within
        ) as answer:
            yield answer

    async def ask(self, method: str, path: str, body: Object | None = None) -> Object:
        """Send a request.

        Raises:
            RefusalError: The answer is no success.
        """
        async with self.asking(method, path, None if body is None else json.dumps(body).encode()) as answer:
            told = await answer.json()
        if answer.status >= 300:
            raise RefusalError(answer.status, told.get("reason", ""), f"{method} {path}: {told['message']}")
        return told

    async def all(self, plural: str) -> dict[str, Object]:
        """Read all objects of a kind, by their names."""
        found = (await self.ask("GET", self._path(plural)))["items"]
        return {
            one["metadata"]["name"]: one for one in found if not {one["metadata"]["name"], one.get("type")} & NOT_OURS
        }

    async def get(self, plural: str, name: str) -> Object:
        return await self.ask("GET", self._path(plural, name))

    async def names(self, plural: str) -> list[str]:
        return sorted(await self.all(plural))

    async def pods(self) -> list[Object]:
        return list((await self.all("pods")).values())

    async def objects(self) -> list[tuple[str, str]]:
        """List everything that is there."""
        return [(plural, name) for plural in KINDS for name in await self.all(plural)]

    async def edit(self, plural: str, name: str, change: Callable[[Object], Any], *, part: str = "") -> None:
        """Change an object by hand, or its `/status`; again when somebody else was quicker."""
        while True:
            body = await self.get(plural, name)
            change(body)
            try:
                await self.ask("PUT", self._path(plural, name) + part, body)
            except RefusalError as refusal:
                if refusal.reason != "Conflict":
                    raise
            else:
                return

    async def put(self, plural: str, body: Object) -> None:
        """Add an object by hand."""
        root, kind = KINDS[plural]
        named = {"apiVersion": root.removeprefix("/apis/").removeprefix("/api/"), "kind": kind}
        await self.ask("POST", self._path(plural), named | body)

    async def bind(self, pod: str, node: str) -> None:
        """Give a pod to a node, as a scheduler does."""
        target = {"metadata": {"name": pod}, "target": {"kind": "Node", "name": node}}
        await self.ask("POST", self._path("pods", pod) + "/binding", target)

    async def drop(self, plural: str, name: str, **options: int) -> None:
        """Delete an object by hand."""
        await self.ask("DELETE", self._path(plural, name), options)

    async def hold(self, plural: str) -> None:
        """Have objects linger when they are deleted, until they are let go."""
        for name in await self.names(plural):
            await self.edit(plural, name, lambda one: one["metadata"].setdefault("finalizers", []).append(HOLD))

    async def let_go(self, plural: str) -> None:
        for name, one in (await self.all(plural)).items():
            if HOLD in one["metadata"].get("finalizers", []):
                await self.edit(plural, name, lambda one: one["metadata"]["finalizers"].remove(HOLD))

    async def until(self, plural: str, holds: Callable[[dict[str, Object]], Any], *, within_s: float = 5) -> None:
        """Wait until something holds of the objects of a kind, by their names; a name that is missing is waited for."""
        seen: dict[str, Object] = {}

        async def is_so() -> Any:
            seen.clear()
            seen.update(await self.all(plural))
            with contextlib.suppress(KeyError, IndexError):
                return holds(seen)

        await eventually(is_so, lambda: seen, within_s=within_s)

    async def clear(self) -> None:
        """Delete everything in the namespace, and the namespace."""
        for plural in reversed(KINDS):  # Deployments before their pods
            await self.let_go(plural)
            at_once = {"gracePeriodSeconds": 0} if plural == "pods" else {}
            for name in await self.all(plural):
                with contextlib.suppress(RefusalError):
                    await self.drop(plural, name, **at_once)
        await self.ask("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def _path(self, plural: str, name: str = "") -> str:
        return f"{KINDS[plural][0]}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")
