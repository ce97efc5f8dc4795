"""The log of whichever pod an instance has now."""

import asyncio
from collections.abc import AsyncGenerator

from instance_orchestrator.clients.backend import BackendUnavailableError
from instance_orchestrator.clients.kubernetes.api import KubernetesApi, Object, RefusedError
from instance_orchestrator.clients.kubernetes.kinds import POD
from instance_orchestrator.clients.kubernetes.manifests import CONTAINER
from instance_orchestrator.clients.kubernetes.pods import newest

AGAIN_S = 1.0
_MAX_REST = 64 * 1024


class PodLog:
    """Reads one instance's log across connections that break and pods that come and go, each line once.

    Lines are asked for with their times, by which a broken connection is taken up again where it was; the times are not
    shown.
    """

    def __init__(self, api: KubernetesApi, selector: str) -> None:
        self._api = api
        self._selector = selector
        self._pod = ""
        self._last = ""

    async def read(self, *, tail: int, is_following: bool) -> AsyncGenerator[list[str], None]:
        """Yield the last lines, then what comes.

        Raises:
            BackendUnavailableError: The first lines cannot be read.
        """
        is_first = True
        while is_first or is_following:
            pod = await self._find(is_first=is_first)
            if pod is None:
                yield []
            else:
                query = self._query(pod, tail=tail if is_first else None, is_following=is_following)
                try:
                    async for lines in self._lines(pod, query):
                        yield lines
                except (BackendUnavailableError, RefusedError):
                    if is_first and not self._last:
                        raise
            is_first = False
            if is_following:
                await asyncio.sleep(AGAIN_S)

    async def _find(self, *, is_first: bool) -> Object | None:
        try:
            pods, _ = await self._api.list(POD, self._selector)
        except (BackendUnavailableError, RefusedError) as error:
            if is_first:
                raise BackendUnavailableError(str(error)) from error
            return None
        started = [pod for pod in pods if pod.get("status", {}).get("phase") not in {None, "Pending"}]
        return newest(started) if started else None

    def _query(self, pod: Object, *, tail: int | None, is_following: bool) -> dict[str, str]:
        query = {"container": CONTAINER, "timestamps": "true", "follow": "true" if is_following else "false"}
        if pod["metadata"]["uid"] != self._pod:
            self._pod, self._last = pod["metadata"]["uid"], ""
        if tail is not None:
            query["tailLines"] = str(tail)
        if self._last:
            query["sinceTime"] = self._last.partition(".")[0].removesuffix("Z") + "Z"
        return query

    async def _lines(self, pod: Object, query: dict[str, str]) -> AsyncGenerator[list[str], None]:
        rest, known = b"", self._last
        async for block in self._api.log(pod["metadata"]["name"], query):
            *complete, rest = (rest + block).split(b"\n")
            if len(rest) > _MAX_REST:
                complete, rest = [*complete, rest], b""
            lines = []
            for line in complete:
                time, _, text = line.decode("utf-8", "replace").partition(" ")
                if known and time <= known:
                    continue  # told before the connection broke
                self._last = time
                lines.append(text)
            yield lines
