"""Dialogues: what frames mean, by the path of their socket.

`/ws` subscribes to topics and may do everything. `/ws/chat/{session}` is one session: its history, then all that
happens in it. `/ws/canvas` is what agents draw: what stands, then every command.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from agent_runtime import ports
from agent_runtime.errors import SessionNotFoundError
from agent_runtime.ports import TurnRequest, session_topic
from agent_runtime.sockets.domain.endings import NO_SESSION, Ending
from agent_runtime.sockets.domain.frames import (
    CancelFrame,
    CanvasInteractionFrame,
    CommandFrame,
    MessageFrame,
    RefusedFrameError,
    SubscribeFrame,
    UnsubscribeFrame,
    further_fields,
)
from agent_runtime.sockets.domain.showing import rendered, said, state
from agent_runtime.sockets.domain.topics import (
    ANY_CANVAS,
    UNASKED,
    canonical,
    canvas_topic,
    session_of,
)
from agent_runtime.sockets.errors import NoSessionNamedError, NothingToCancelError, TooManyTopicsError
from shoal.identity import Principal

HISTORY = 50
MOST_TOPICS = 100
VOICE = "voice"
"""The one session that nobody has to open first."""
_OWN_FIELDS = ("type", "canvas_id", "session_id")


class Peer(Protocol):
    """As much of a socket as a dialogue needs."""

    id: str

    @property
    def principal(self) -> Principal:
        """Who is there."""
        ...

    def answer(self, frame: Mapping[str, Any]) -> None:
        """Tell the peer something."""
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

    def release(self) -> None:
        """Let through what was held back."""
        ...

    def end(self, ending: Ending) -> None:
        """Close the socket."""
        ...


class Subjects(Struct, frozen=True):
    """Whom dialogues ask."""

    turns: ports.Turns
    sessions: ports.Sessions
    canvases: ports.Canvases
    drawings: ports.Drawings


class Speaking:
    """What every dialogue can do: say something to an agent, end what it does, use what it drew."""

    def __init__(self, peer: Peer, subjects: Subjects) -> None:
        self._peer = peer
        self._subjects = subjects

    def _connected(self, **more: Any) -> None:
        told = {"type": "connected", "message": "Shoal WebSocket connected", "socket_id": self._peer.id}
        self._peer.answer(told | more)

    async def _say(self, frame: MessageFrame, session_key: str) -> None:
        request = self._request(
            frame.content,
            session_key,
            origin="voice" if session_key == VOICE else "web",
            is_session_made=session_key == VOICE,
            idempotency_key=frame.id or "",
        )
        run_id = await self._subjects.turns.start(request)
        told = {"type": "accepted", "session_key": session_key, "run_id": run_id}
        self._peer.answer(told | ({"ref": {"id": frame.id}} if frame.id else {}))

    async def _cancel(self, frame: CancelFrame, session_key: str | None) -> None:
        account_id = self._peer.principal.account_id
        if frame.run_id is not None:
            await self._subjects.turns.cancel(account_id, frame.run_id)
        elif session_key is not None:
            await self._subjects.turns.cancel_session(account_id, session_key)
        else:
            raise NothingToCancelError
        self._peer.answer({"type": "cancelling", "session_key": session_key, "run_id": frame.run_id})

    async def _use(self, frame: CanvasInteractionFrame, text: str, session_key: str | None) -> None:
        """Tell the agent that drew something what somebody did with it."""
        key = session_key or frame.session_id or frame.canvas_id
        if key is None and frame.element_id is not None:
            key = await self._subjects.drawings.canvas_of(self._peer.principal.account_id, frame.element_id)
        if key is None:
            raise NoSessionNamedError
        used = msgspec.json.encode(further_fields(text, *_OWN_FIELDS)).decode()
        run_id = await self._subjects.turns.start(self._request(f"[canvas] {used}", key, origin="canvas"))
        self._peer.answer({"type": "accepted", "session_key": key, "run_id": run_id})

    def _request(self, content: str, session_key: str, *, origin: str, **more: Any) -> TurnRequest:
        principal = self._peer.principal
        return TurnRequest(
            account_id=principal.account_id,
            content=content,
            session_key=session_key,
            origin=origin,
            by=principal.subject,
            credential_id=principal.credential_id,
            **more,
        )


class PageDialogue(Speaking):
    """`/ws`: a page of a dashboard."""

    path = "ws"

    def __init__(self, peer: Peer, subjects: Subjects) -> None:
        super().__init__(peer, subjects)
        self._names: dict[str, str] = {}

    async def begin(self) -> None:
        """Welcome; show what stands on the canvas, for a page that was loaded anew asks for nothing."""
        self._connected()
        await self._peer.join({UNASKED})
        await self._show_canvas()

    async def hear(self, frame: Any, text: str) -> None:
        """Do what a frame asks."""
        match frame:
            case SubscribeFrame(topic=topic):
                await self._subscribe(topic)
            case UnsubscribeFrame(topic=topic):
                self._names.pop(topic, None)
                self._peer.listen(self._names.values())
                self._peer.answer({"type": "unsubscribed", "topic": topic})
            case MessageFrame(session_key=session_key):
                if session_key is None:
                    raise NoSessionNamedError
                await self._say(frame, session_key)
            case CancelFrame(session_key=session_key):
                await self._cancel(frame, session_key)
            case CanvasInteractionFrame():
                await self._use(frame, text, None)
            case _:
                raise RefusedFrameError("unknown_type", "There is no such type of frame on this path.")

    async def _subscribe(self, topic: str) -> None:
        if topic not in self._names and len(self._names) >= MOST_TOPICS:
            raise TooManyTopicsError
        name = self._names[topic] = canonical(topic)
        self._peer.listen(self._names.values())
        self._peer.answer({"type": "subscribed", "topic": topic})
        if name == "canvas":
            self._peer.hold_back()
            await self._show_canvas()

    async def _show_canvas(self) -> None:
        try:
            drawing = await self._subjects.drawings.newest(self._peer.principal.account_id)
            for frame in rendered(drawing) if drawing else ():
                self._peer.answer(frame)
        finally:
            self._peer.release()


class ChatDialogue(Speaking):
    """`/ws/chat/{session}`: one session."""

    path = "chat"

    def __init__(self, peer: Peer, subjects: Subjects, session_key: str) -> None:
        super().__init__(peer, subjects)
        self._key = session_key

    async def begin(self) -> None:
        """Welcome; tell what was said, then what is being said."""
        await self._peer.join({session_topic(self._key)})
        account_id = self._peer.principal.account_id
        try:
            messages = await self._subjects.sessions.recent(account_id, self._key, HISTORY)
        except SessionNotFoundError as error:
            if self._key != VOICE:
                self._peer.answer({"type": "error", "code": error.code, "message": error.message})
                self._peer.end(NO_SESSION)
                return
            messages = []
        self._connected(session_key=self._key)
        told = {"type": "history", "session_key": self._key, "messages": [said(message) for message in messages]}
        self._peer.answer(told)
        self._peer.release()

    async def hear(self, frame: Any, text: str) -> None:
        """Do what a frame asks."""
        match frame:
            case MessageFrame():
                await self._say(frame, self._key)
            case CancelFrame():
                await self._cancel(frame, self._key)
            case CanvasInteractionFrame():
                await self._use(frame, text, self._key)
            case SubscribeFrame(topic=topic) | UnsubscribeFrame(topic=topic) if session_of(topic) == self._key:
                kind = "subscribed" if isinstance(frame, SubscribeFrame) else "unsubscribed"
                self._peer.answer({"type": kind, "topic": topic})
            case _:
                raise RefusedFrameError("unknown_type", "There is no such type of frame on this path.")


class CanvasDialogue(Speaking):
    """`/ws/canvas`: what agents draw; every canvas of the account, or those that were subscribed to."""

    path = "canvas"

    def __init__(self, peer: Peer, subjects: Subjects) -> None:
        super().__init__(peer, subjects)
        self._canvases: dict[str, str] = {}

    async def begin(self) -> None:
        """Welcome; show the canvas that was drawn on last."""
        self._connected()
        await self._peer.join({ANY_CANVAS})
        drawing = await self._subjects.drawings.newest(self._peer.principal.account_id)
        if drawing is not None:
            self._peer.answer(state(drawing))
        self._peer.release()

    async def hear(self, frame: Any, text: str) -> None:
        """Do what a frame asks."""
        match frame:
            case SubscribeFrame(canvas_id=canvas_id):
                await self._subscribe(canvas_id)
            case UnsubscribeFrame(canvas_id=canvas_id):
                self._canvases.pop(canvas_id or ANY_CANVAS, None)
                self._peer.listen(self._canvases.values())
                self._peer.answer({"type": "unsubscribed", "canvas_id": canvas_id})
            case CommandFrame(canvas_id=canvas_id):
                await self._draw(canvas_id, text)
            case CanvasInteractionFrame():
                await self._use(frame, text, None)
            case _:
                raise RefusedFrameError("unknown_type", "There is no such type of frame on this path.")

    async def _subscribe(self, canvas_id: str | None) -> None:
        if len(self._canvases) >= MOST_TOPICS:
            raise TooManyTopicsError
        self._canvases[canvas_id or ANY_CANVAS] = canvas_topic(canvas_id) if canvas_id else ANY_CANVAS
        self._peer.hold_back()
        self._peer.listen(self._canvases.values())
        self._peer.answer({"type": "subscribed", "canvas_id": canvas_id})
        try:
            if canvas_id is not None:
                drawing = await self._subjects.drawings.state(self._peer.principal.account_id, canvas_id)
                self._peer.answer(state(drawing))
        finally:
            self._peer.release()

    async def _draw(self, canvas_id: str, text: str) -> None:
        principal = self._peer.principal
        command = further_fields(text, "type", "canvas_id", "agent_id", "timestamp")
        await self._subjects.canvases.apply(principal.account_id, canvas_id, command, agent_id=principal.subject)
