"""Speaking: what can be done over a socket of any path."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from agent_runtime import ports
from agent_runtime.ports import TurnRequest
from agent_runtime.sockets.domain.answers import AcceptedFrame, CancellingFrame, ConnectedFrame, ref_of
from agent_runtime.sockets.domain.closings import STALLED, Closing
from agent_runtime.sockets.domain.frames import (
    CancelFrame,
    CanvasInteractionFrame,
    MessageFrame,
    StreamChunk,
    further_fields,
)
from agent_runtime.sockets.errors import NoSessionNamedError, NothingToCancelError
from shoal.identity import Principal

JOINED_WITHIN_S = 5.0
"""How long what is stored of an answer may lag behind what is heard of it."""
_SILENT_S = 0.25
"""After how long without a word an agent is taken to say nothing just now."""
_LOOK_S = 0.05
_OWN_FIELDS = ("type", "canvas_id", "session_id")


class Speaker(Protocol):
    """A socket that is listened to: as much of it as a dialogue needs."""

    id: str

    @property
    def principal(self) -> Principal:
        """Who signed in."""
        ...

    def answer(self, frame: Struct | Mapping[str, Any]) -> None:
        """Tell the client something."""
        ...

    def refuse(self, code: str, message: str) -> None:
        """Tell the client that something was not done."""
        ...

    async def join(self, names: Iterable[str]) -> None:
        """Hear the account's frames of some names; they are held back until `release`."""
        ...

    def listen(self, names: Iterable[str]) -> None:
        """Hear other names from now on."""
        ...

    def hold_back(self) -> None:
        """Hold back frames until `release`."""
        ...

    def held_from(self, run_id: str) -> int | None:
        """Tell at which character of a run's text begins what is held back of it."""
        ...

    def release(self) -> None:
        """Let through what was held back."""
        ...

    def end(self, closing: Closing) -> None:
        """Close the socket."""
        ...


class Subjects(Struct, frozen=True):
    """The subjects that dialogues ask, as ports."""

    turns: ports.Turns
    sessions: ports.Sessions
    canvases: ports.Canvases
    drawings: ports.Drawings


class Speaking:
    """What every dialogue can do: say something to an agent, end what it does, use what it drew."""

    def __init__(self, speaker: Speaker, subjects: Subjects) -> None:
        self._speaker = speaker
        self._subjects = subjects

    def _welcome(self, session_key: str | UnsetType = UNSET) -> None:
        self._speaker.answer(ConnectedFrame(self._speaker.id, session_key))

    async def _catch_up(self, session_key: str) -> None:
        """Tell what was said so far of the answer that a session is at, then what was held back, without a gap."""
        try:
            said = await self._joined(session_key)
            if said is not None and said.content:
                self._speaker.answer(StreamChunk(session_key, said.run_id, said.content).frame())
        finally:
            self._speaker.release()

    async def _joined(self, session_key: str) -> ports.SaidSoFar | None:
        """Read what was said so far, up to where what is held back goes on: that is stored a little after it is heard.

        Where it is not stored in time the socket ends; its client reads what stands when it comes again.
        """
        turns, account_id, loop = self._subjects.turns, self._speaker.principal.account_id, asyncio.get_running_loop()
        began = loop.time()
        while (said := await turns.so_far(account_id, session_key)) is not None:
            begins, waited = self._speaker.held_from(said.run_id), loop.time() - began
            if begins is None and waited >= _SILENT_S:
                return said
            if begins is not None and begins <= len(said.content):
                return msgspec.structs.replace(said, content=said.content[:begins])
            if waited >= JOINED_WITHIN_S:
                self._speaker.end(STALLED)
                return None
            await asyncio.sleep(_LOOK_S)
        return None

    async def _say(self, frame: MessageFrame, session_key: str) -> None:
        request = self._request(
            frame.content,
            session_key,
            origin="web",
            queueing=frame.policy,
            idempotency_key=frame.id or "",
        )
        run_id = await self._subjects.turns.start(request)
        self._speaker.answer(AcceptedFrame(session_key, run_id, ref_of(frame)))

    async def _cancel(self, frame: CancelFrame, session_key: str | None) -> None:
        account_id = self._speaker.principal.account_id
        if frame.run_id is not None:
            await self._subjects.turns.cancel(account_id, frame.run_id)
        elif session_key is not None:
            await self._subjects.turns.cancel_session(account_id, session_key)
        else:
            raise NothingToCancelError
        self._speaker.answer(CancellingFrame(session_key, frame.run_id))

    async def _use(self, frame: CanvasInteractionFrame, text: str, session_key: str | None) -> None:
        """Tell the agent that drew something what somebody did with it."""
        key = session_key or frame.session_id or frame.canvas_id
        if key is None and frame.element_id is not None:
            key = await self._subjects.drawings.canvas_of(self._speaker.principal.account_id, frame.element_id)
        if key is None:
            raise NoSessionNamedError
        used = msgspec.json.encode(further_fields(text, *_OWN_FIELDS)).decode()
        run_id = await self._subjects.turns.start(self._request(f"[canvas] {used}", key, origin="canvas"))
        self._speaker.answer(AcceptedFrame(key, run_id))

    def _request(self, content: str, session_key: str, *, origin: str, **more: Any) -> TurnRequest:
        principal = self._speaker.principal
        return TurnRequest(
            account_id=principal.account_id,
            content=content,
            session_key=session_key,
            origin=origin,
            by=principal.subject,
            credential_id=principal.credential_id,
            **more,
        )
