"""Watching a cluster: list, then watch, and list again soon, whatever the watch says.

A watch can lose changes, expire (410), be cut, or freeze without a word. So no watch lives longer than `WATCH_S`, each
begins at the version of a list, and what differs between two lists is as good a hint as an event. What is missed costs
at most one round.
"""

import asyncio

import structlog

from instance_orchestrator.clients.backend import BackendUnavailableError, Hint
from instance_orchestrator.clients.kubernetes.api import ExpiredError, KubernetesApi, Object, RefusedError
from instance_orchestrator.clients.kubernetes.kinds import Kind
from instance_orchestrator.clients.kubernetes.manifests import INSTANCE

WATCH_S = 15
PAUSE_S, MAX_PAUSE_S = 0.2, 5.0


class Reflector:
    """Follows one kind of objects and hints at the instances whose objects change."""

    def __init__(self, api: KubernetesApi, kind: Kind, selector: str, hint: Hint) -> None:
        self._api = api
        self._kind = kind
        self._selector = selector
        self._hint = hint
        self._seen: dict[str, tuple[int, str]] | None = None

    async def run(self) -> None:
        """Follow for ever."""
        pause = PAUSE_S
        while True:
            try:
                await self._round()
                pause = PAUSE_S
            except ExpiredError:
                continue
            except (BackendUnavailableError, RefusedError) as error:
                structlog.get_logger().info("watch_again", kind=self._kind.name, reason=str(error), again_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_S)

    async def _round(self) -> None:
        listed, version = await self._api.list(self._kind, self._selector)
        self._compare({one["metadata"]["uid"]: _mark(one) for one in listed})
        async for event in self._api.watch(self._kind, self._selector, version=version, for_s=WATCH_S):
            if event.type != "BOOKMARK":
                self._take(event.type, event.object)

    def _compare(self, there: dict[str, tuple[int, str]]) -> None:
        before, self._seen = self._seen, there
        if before is None:
            return
        for uid in before.keys() | there.keys():
            if before.get(uid) != there.get(uid):
                self._hint((there.get(uid) or before[uid])[0])

    def _take(self, kind: str, changed: Object) -> None:
        seen = self._seen if self._seen is not None else {}
        uid, mark = changed["metadata"]["uid"], _mark(changed)
        if kind == "DELETED":
            seen.pop(uid, None)
        else:
            seen[uid] = mark
        self._hint(mark[0])


def _mark(one: Object) -> tuple[int, str]:
    metadata = one["metadata"]
    number = metadata.get("labels", {}).get(INSTANCE, "")
    return int(number) if number.isdigit() else 0, metadata["resourceVersion"]
