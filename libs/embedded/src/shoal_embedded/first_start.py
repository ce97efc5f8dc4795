"""What a new installation needs before anybody can use it: the first admin, and this machine as the first agent.

Everything goes through the gateway's public door, as an operator with curl would do it.
"""

import socket
from pathlib import Path
from typing import Self

import httpx
import msgspec
from msgspec import Struct

from shoal_agent.agent import pair
from shoal_agent.errors import NotPairedError
from shoal_agent.state import StateDirectory
from shoal_embedded.processes import ServerError

USERNAME = "admin"


class Opening(Struct, frozen=True):
    """What the operator is told at the end of a start."""

    password: str | None
    """The first admin's password when it was made just now, else None."""
    link: str
    """Signs the browser in, once."""
    shell_link: str
    """Signs curl in, once."""
    agent_id: str | None
    """This machine as an agent, if it is paired."""


class Front:
    """The gateway, as an admin meets it."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)
        self.url = url
        self.session = ""
        """Of whoever signed in: what goes as bearer. Its cookie may be for TLS and another address only."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def set_up(self, password: str) -> bool:
        """Make the first admin; False when there is one already.

        Raises:
            ServerError: The gateway refuses.
        """
        required = await self._client.get("/api/v1/auth/setup-required")
        if not required.json().get("setup_required"):
            return False
        answer = await self._client.post("/api/v1/auth/setup", json={"username": USERNAME, "password": password})
        _expect(answer, "making the first admin")
        return True

    async def sign_in(self, link: str) -> None:
        """Sign in by a one-time link.

        Raises:
            ServerError: The gateway refuses.
        """
        answer = await self._client.get(link, follow_redirects=False)
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            _expect(answer, "signing in")
        self.session = next(value for name, value in answer.cookies.items() if name.endswith("shoal_session"))
        self._client.headers["authorization"] = f"Bearer {self.session}"

    async def paired_machine(self, state: Path) -> str | None:
        """Find this machine as an agent, and tell it where the gateway is now; None if it is not paired (any more).

        Raises:
            ServerError: The gateway refuses.
        """
        directory = StateDirectory.at(state)
        try:
            kept = directory.pairing()
        except NotPairedError:
            return None
        listed = await self._client.get("/pairing")
        _expect(listed, "listing pairings")
        if all(item["id"] != kept.pairing_id for item in listed.json()["pairings"]):
            return None
        if kept.gateway_url != self.url:
            moved = f"ws{self.url.removeprefix('http')}/telemetry"
            directory.save_pairing(msgspec.structs.replace(kept, gateway_url=self.url, websocket_url=moved))
        return str(kept.agent_id)

    async def pair_machine(self, state: Path) -> str:
        """Pair this machine; returns the agent's id.

        Raises:
            ServerError: The gateway refuses.
        """
        opened = await self._client.post("/pairing/init", json={"name": socket.gethostname()[:100]})
        _expect(opened, "opening a pairing")
        made = await pair(state, self.url, opened.json()["token"], is_direct=True)
        return str(made.agent_id)


def _expect(answer: httpx.Response, doing: str) -> None:
    if not answer.is_success:
        raise ServerError("gateway", f"{doing} failed: {answer.status_code} {_detail(answer)}")


def _detail(answer: httpx.Response) -> str:
    """Read a refusal's sentence, or the beginning of what else came."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
