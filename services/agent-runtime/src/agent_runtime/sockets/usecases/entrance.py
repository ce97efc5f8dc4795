"""Coming in: who opens a socket, and whether they may.

The gateway vouches for whoever came with a credential in the handshake. Anybody else says who they are in the first
frame, within seconds. Then they take a slot, of which every user has so many over all processes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from msgspec import Struct

from agent_runtime.sockets.domain.answers import SignedInFrame, TurnedAwayFrame
from agent_runtime.sockets.domain.closings import (
    MALFORMED,
    NO_AUTH,
    RESTARTING,
    REVOKED,
    TOO_MANY,
    TRY_AGAIN,
    UNAUTHORIZED,
    Closing,
)
from agent_runtime.sockets.domain.credentials import Credential
from agent_runtime.sockets.domain.frames import AuthFrame, MalformedFrameError, RefusedFrameError, read_client_frame
from agent_runtime.sockets.errors import CredentialUnknownError
from agent_runtime.sockets.usecases.means import Means
from shoal.errors import UnavailableError
from shoal.identity import Principal

Receive = Callable[[], Awaitable[Any]]


class Visitor(Protocol):
    """A socket that wants to come in."""

    id: str
    credential: Credential | None
    ended_at: float | None

    def answer(self, frame: Struct) -> None:
        """Tell it something."""
        ...

    def refuse(self, code: str, message: str) -> None:
        """Tell it that something was not done."""
        ...

    def end(self, closing: Closing) -> None:
        """Close it."""
        ...


class Entrance:
    """Lets one socket in, or ends it."""

    def __init__(self, means: Means, visitor: Visitor) -> None:
        self._means = means
        self._visitor = visitor

    async def admit(self, principal: Principal, receive: Receive) -> bool:
        """Find out who is there; whoever may not stay is told, and the socket ends."""
        try:
            if principal.is_user:
                return await self._enter(Credential(principal=principal))
            token = await self._first_token(receive)
            if token is None:
                return False
            return await self._enter(await self._means.credentials.resolve(token))
        except CredentialUnknownError as error:
            self._turn_away(error.code, error.message)
        except UnavailableError:
            self._visitor.end(TRY_AGAIN)
        return False

    async def prove_again(self, token: str) -> None:
        """Answer a later auth frame: the same user again, perhaps by another credential.

        Raises:
            UnavailableError: Who that is cannot be told right now.
        """
        try:
            again = await self._means.credentials.resolve(token)
        except CredentialUnknownError as error:
            self._turn_away(error.code, error.message)
            return
        if self._visitor.credential is None or again.principal.user_id != self._visitor.credential.principal.user_id:
            self._turn_away("already_authenticated", "This socket is another user's.")
            return
        self._welcome(again.principal)

    async def _first_token(self, receive: Receive) -> str | None:
        deadline = asyncio.get_running_loop().time() + self._means.auth_timeout.total_seconds()
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                self._visitor.end(NO_AUTH)
                return None
            if message["type"] != "websocket.receive":
                self._visitor.end(RESTARTING)
                return None
            try:
                frame = read_client_frame(message.get("text"))
            except MalformedFrameError:
                self._visitor.end(MALFORMED)
                return None
            except RefusedFrameError as error:
                self._visitor.refuse(error.code, error.message)
                continue
            if isinstance(frame, AuthFrame):
                return frame.token
            self._visitor.refuse("not_authenticated", "Send an auth frame first.")

    async def _enter(self, credential: Credential) -> bool:
        visitor, means = self._visitor, self._means
        if not means.sockets.may_enter(credential):
            visitor.end(REVOKED)
            return False
        visitor.credential = credential
        if not await means.slots.claim(visitor.id, credential.principal):
            visitor.end(TOO_MANY)
            return False
        if credential.secret is not None:
            self._welcome(credential.principal)
        return visitor.ended_at is None  # it may have ended while it was let in

    def _welcome(self, principal: Principal) -> None:
        self._visitor.answer(SignedInFrame(principal.user_id, principal.account_id))

    def _turn_away(self, code: str, message: str) -> None:
        self._visitor.answer(TurnedAwayFrame(code, message))
        self._visitor.end(UNAUTHORIZED)
