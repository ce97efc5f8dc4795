"""Removing the folders of agents that are no more."""

import asyncio

import structlog

from agent_runtime.ports import Departures
from agent_runtime.tools.clients.workspace import Workspaces


class Clearing:
    """Removes what agents wrote, once they or their accounts are no more; what somebody living may need stays."""

    def __init__(self, *, departures: Departures, workspaces: Workspaces) -> None:
        self._departures = departures
        self._workspaces = workspaces

    async def clear(self) -> None:
        """Look through every folder; one that cannot be removed is told of, and tried again the next time."""
        folders = await asyncio.to_thread(self._workspaces.list)
        ended = set(await self._departures.accounts(list(folders)))
        for account_id, names in folders.items():
            if account_id in ended:
                await self._remove(account_id)
                continue
            for name in await self._departures.agents(account_id, names):
                await self._remove(account_id, name)

    async def _remove(self, *path: str) -> None:
        try:
            await asyncio.to_thread(self._workspaces.remove, *path)
        except (OSError, RecursionError) as error:
            structlog.get_logger().warning("workspace_not_removed", path="/".join(path), error=repr(error))
