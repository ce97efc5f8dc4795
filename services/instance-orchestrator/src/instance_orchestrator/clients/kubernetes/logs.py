"""The log of whichever pod an instance has now."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from instance_orchestrator.clients.backend import BackendUnavailableError
from instance_orchestrator.clients.kubernetes.api import BAD_REQUEST, NOT_FOUND, KubernetesApi, Object, RefusedError
from instance_orchestrator.clients.kubernetes.kinds import POD
from instance_orchestrator.clients.kubernetes.manifests import CONTAINER
from instance_orchestrator.clients.kubernetes.pods import newest

AGAIN_S = QUIET_S = 1.0
_MAX_REST = 64 * 1024


class PodLog:
    """Reads one instance's log across connections that break and pods that come and go, each line once.

    Lines are asked for with their times, by which a broken connection is taken up again where it was; the times are not
    shown. A pod that is gone, or whose container has not started, has no lines yet.
    """

    def __init__(self, api: KubernetesApi, selector: str) -> None:
        self._api = api
        self._selector = selector
        self._pod = ""
        self._last = ""

    async def read(self, *, tail: int, is_following: bool) -> AsyncGenerator[list[str], None]:
        """Yield the last lines, then what comes; an empty batch when nothing came for a second.

        Raises:
            BackendUnavailableError: The log cannot be read, not even its first lines.
        """
        is_first = True
        while is_first or is_following:
            try:
                batches = self._read_pod(tail=tail if is_first else None, is_following=is_following)
                async with contextlib.aclosing(batches):
                    async for lines in batches:
                        is_first = False
                        yield lines
            except BackendUnavailableError:
                if is_first:
                    raise
            is_first = False
            yield []
            if is_following:
                await asyncio.sleep(AGAIN_S)

    async def _read_pod(self, *, tail: int | None, is_following: bool) -> AsyncGenerator[list[str], None]:
        try:
            pods, _ = await self._api.list(POD, self._selector)
        except RefusedError as error:
            raise BackendUnavailableError(str(error)) from error
        started = [pod for pod in pods if pod.get("status", {}).get("phase") not in {None, "Pending"}]
        if not started:
            return
        pod = newest(started)
        pieces = self._api.log(pod["metadata"]["name"], self._query(pod, tail=tail, is_following=is_following))
        try:
            async with contextlib.aclosing(_paced(pieces)) as paced:
                async for lines in self._lines(paced):
                    yield lines
        except RefusedError as error:
            if error.status not in {BAD_REQUEST, NOT_FOUND}:  # the node's words for "not yet" and "no longer"
                raise BackendUnavailableError(str(error)) from error

    def _query(self, pod: Object, *, tail: int | None, is_following: bool) -> dict[str, str]:
        query = {"container": CONTAINER, "timestamps": "true", "follow": "true" if is_following else "false"}
        if pod["metadata"]["uid"] != self._pod:
            self._pod, self._last = pod["metadata"]["uid"], ""
        if tail is not None:
            query["tailLines"] = str(tail)
        if self._last:
            query["sinceTime"] = self._last.partition(".")[0].removesuffix("Z") + "Z"
        return query

    async def _lines(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[list[str], None]:
        rest, known = b"", self._last
        async for piece in pieces:
            *complete, rest = (rest + piece).split(b"\n")
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


async def _paced(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield what comes, and an empty piece whenever nothing came for a second, be it the first."""
    async with contextlib.aclosing(pieces):
        while True:
            coming = asyncio.ensure_future(anext(pieces, None))
            try:
                while not (await asyncio.wait({coming}, timeout=QUIET_S))[0]:
                    yield b""
            finally:
                if coming.cancel():
                    await asyncio.gather(coming, return_exceptions=True)
            if (piece := coming.result()) is None:
                return
            yield piece
