"""A signed-in user of an account, and the agents that they pair."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
from msgspec import Struct

from stack.sockets import TelemetrySocket, telemetry_socket

if TYPE_CHECKING:
    from stack.running import Stack


class PairedAgent(Struct, frozen=True):
    """An agent as it knows itself after pairing."""

    pairing_id: str
    agent_id: str
    token: str
    websocket_url: str

    def connect(self, *, epoch: str | None = None) -> AbstractAsyncContextManager[TelemetrySocket]:
        """Open its telemetry socket."""
        return telemetry_socket(self.websocket_url, token=self.token, epoch=epoch)


class Account:
    """A user at the gateway's door, by session cookie."""

    def __init__(self, client: httpx.AsyncClient, stack: "Stack") -> None:
        self.client = client
        self._stack = stack

    @property
    def cookie(self) -> str:
        """The header by which a browser would prove who signed in."""
        return "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())

    async def get(self, path: str, **query: str) -> Any:
        """Read something that must be there."""
        answer = await self.client.get(path, params=query)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def open_pairing(self, name: str = "Production Server") -> dict[str, Any]:
        """Open a pairing; returns the contract's answer."""
        answer = await self.client.post("/pairing/init", json={"name": name})
        assert answer.is_success, answer.text
        opened: dict[str, Any] = answer.json()
        return opened

    async def pair(self, agent_id: str | None = None, *, name: str = "Production Server") -> PairedAgent:
        """Open a pairing, and confirm it as an agent would."""
        opened = await self.open_pairing(name)
        agent_id = agent_id or f"agent_{uuid4().hex[:12]}"
        async with httpx.AsyncClient(base_url=self._stack.url, timeout=30, trust_env=False) as agent:
            answer = await agent.post("/pairing/confirm", json={"token": opened["token"], "agent_id": agent_id})
        assert answer.is_success, answer.text
        said = answer.json()
        return PairedAgent(said["pairing_id"], said["agent"]["id"], said["telemetry_token"], said["websocket_url"])

    async def unpair(self, agent: PairedAgent) -> None:
        """Delete a pairing."""
        answer = await self.client.delete(f"/pairing/{agent.pairing_id}")
        assert answer.json() == {"deleted": True, "id": agent.pairing_id}, answer.text

    async def status_of(self, agent: PairedAgent) -> str:
        """Tell a pairing's status, as the list shows it."""
        listed = await self.get("/pairing")
        found = [pairing["status"] for pairing in listed["pairings"] if pairing["id"] == agent.pairing_id]
        return found[0] if found else "gone"

    async def create_key(self, name: str = "a key") -> str:
        """Make an API key."""
        answer = await self.client.post("/api/v1/api-keys", json={"name": name})
        assert answer.is_success, answer.text
        return str(answer.json()["api_key"])

    def watch(self) -> AbstractAsyncContextManager[TelemetrySocket]:
        """Open a dashboard's socket, as a browser does: by cookie, with its page's origin."""
        return telemetry_socket(self._stack.websocket_url, headers={"Cookie": self.cookie}, origin=self._stack.url)
