"""Dialogues: what frames mean, by the path of their socket.

`/ws` subscribes to topics and may do everything. `/ws/chat/{session}` is one session: its history, then all that
happens in it. `/ws/canvas` is what agents draw: what stands, then every command.
"""

from typing import Any

from agent_runtime.errors import SessionNotFoundError
from agent_runtime.ports import VOICE_SESSION, Topic, session_topic
from agent_runtime.sockets.domain.answers import HistoryFrame, StateFrame, SubscribedFrame, UnsubscribedFrame
from agent_runtime.sockets.domain.closings import NO_SESSION
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
from agent_runtime.sockets.domain.showing import newest, rendered
from agent_runtime.sockets.domain.topics import (
    ANY_CANVAS,
    CANVAS_COMMANDS,
    UNASKED,
    canonical,
    canvas_topic,
    session_of,
)
from agent_runtime.sockets.errors import NoSessionNamedError, TooManyTopicsError
from agent_runtime.sockets.usecases.speaking import Speaker, Speaking, Subjects

HISTORY = 50
MAX_TOPICS = 100


class PageDialogue(Speaking):
    """`/ws`: a page of a dashboard.

    Until its first subscription a page hears what a page without one waits for. Of those frames `voice:status` goes on
    afterwards until it is unsubscribed: the web UI never asks for it, and subscribes to other topics as people go from
    page to page.
    """

    path = "ws"

    def __init__(self, speaker: Speaker, subjects: Subjects) -> None:
        super().__init__(speaker, subjects)
        self._names: dict[str, str] = {}
        self._has_asked = False
        self._hears_voice = True

    async def begin(self) -> None:
        """Welcome; show what stands on the canvas, for a page that was loaded anew asks for nothing."""
        await self._speaker.join({UNASKED})
        self._welcome()
        await self._show_canvas(CANVAS_COMMANDS)

    async def hear(self, frame: Any, text: str) -> None:
        """Do what a frame asks.

        Raises:
            RefusedFrameError: Frames of this type have no meaning here.
            NoSessionNamedError: It does not say in which session.
            TooManyTopicsError: The page hears as many topics as it may.
            AppError: What was asked was refused; why.
        """
        match frame:
            case SubscribeFrame(topic=topic):
                await self._subscribe(topic)
            case UnsubscribeFrame(topic=topic):
                self._unsubscribe(topic)
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
        if topic not in self._names and len(self._names) >= MAX_TOPICS:
            raise TooManyTopicsError
        name = self._names[topic] = canonical(topic)
        self._has_asked = True
        self._hears_voice |= name == Topic.VOICE_STATUS
        self._listen()
        self._speaker.answer(SubscribedFrame(topic))
        if name in {CANVAS_COMMANDS, Topic.CANVAS_UPDATE}:
            self._speaker.hold_back()
            await self._show_canvas(name)
        elif name.startswith(session_topic("")):
            self._speaker.hold_back()
            await self._catch_up(name.removeprefix(session_topic("")))

    def _unsubscribe(self, topic: str) -> None:
        self._names.pop(topic, None)
        self._hears_voice &= canonical(topic) != Topic.VOICE_STATUS
        self._listen()
        self._speaker.answer(UnsubscribedFrame(topic))

    def _listen(self) -> None:
        names = {*self._names.values()} if self._has_asked else {UNASKED}
        self._speaker.listen(names | {Topic.VOICE_STATUS} if self._has_asked and self._hears_voice else names)

    async def _show_canvas(self, name: str) -> None:
        try:
            drawing = await self._subjects.drawings.newest(self._speaker.principal.account_id)
            for frame in rendered(drawing, name) if drawing else ():
                self._speaker.answer(frame)
        finally:
            self._speaker.release()


class ChatDialogue(Speaking):
    """`/ws/chat/{session}`: one session."""

    path = "chat"

    def __init__(self, speaker: Speaker, subjects: Subjects, session_key: str) -> None:
        super().__init__(speaker, subjects)
        self._key = session_key

    async def begin(self) -> None:
        """Welcome; tell what was said, then what is being said, from its beginning."""
        await self._speaker.join({session_topic(self._key)})
        account_id = self._speaker.principal.account_id
        try:
            messages = await self._subjects.sessions.recent(account_id, self._key, HISTORY)
        except SessionNotFoundError as error:
            if self._key != VOICE_SESSION:
                self._speaker.refuse(error.code, error.message)
                self._speaker.end(NO_SESSION)
                return
            messages = []
        self._welcome(self._key)
        self._speaker.answer(HistoryFrame(self._key, newest(messages)))
        await self._catch_up(self._key)

    async def hear(self, frame: Any, text: str) -> None:
        """Do what a frame asks.

        Raises:
            RefusedFrameError: Frames of this type have no meaning here.
            AppError: What was asked was refused; why.
        """
        match frame:
            case MessageFrame():
                await self._say(frame, self._key)
            case CancelFrame():
                await self._cancel(frame, self._key)
            case CanvasInteractionFrame():
                await self._use(frame, text, self._key)
            case SubscribeFrame(topic=topic) | UnsubscribeFrame(topic=topic) if session_of(topic) == self._key:
                is_asked = isinstance(frame, SubscribeFrame)
                self._speaker.answer(SubscribedFrame(topic) if is_asked else UnsubscribedFrame(topic))
            case _:
                raise RefusedFrameError("unknown_type", "There is no such type of frame on this path.")


class CanvasDialogue(Speaking):
    """`/ws/canvas`: what agents draw; every canvas of the account, or those that were subscribed to."""

    path = "canvas"

    def __init__(self, speaker: Speaker, subjects: Subjects) -> None:
        super().__init__(speaker, subjects)
        self._canvases: dict[str, str] = {}

    async def begin(self) -> None:
        """Welcome; show the canvas that was drawn on last."""
        await self._speaker.join({ANY_CANVAS})
        self._welcome()
        drawing = await self._subjects.drawings.newest(self._speaker.principal.account_id)
        if drawing is not None:
            self._speaker.answer(StateFrame.from_domain(drawing))
        self._speaker.release()

    async def hear(self, frame: Any, text: str) -> None:
        """Do what a frame asks.

        Raises:
            RefusedFrameError: Frames of this type have no meaning here.
            AppError: What was asked was refused; why.
        """
        match frame:
            case SubscribeFrame(canvas_id=canvas_id):
                await self._subscribe(canvas_id)
            case UnsubscribeFrame(canvas_id=canvas_id):
                self._canvases.pop(canvas_id or ANY_CANVAS, None)
                self._speaker.listen(self._canvases.values())
                self._speaker.answer(UnsubscribedFrame(canvas_id=canvas_id))
            case CommandFrame(canvas_id=canvas_id):
                await self._draw(canvas_id, text)
            case CanvasInteractionFrame():
                await self._use(frame, text, None)
            case _:
                raise RefusedFrameError("unknown_type", "There is no such type of frame on this path.")

    async def _subscribe(self, canvas_id: str | None) -> None:
        name = canvas_id or ANY_CANVAS
        if name not in self._canvases and len(self._canvases) >= MAX_TOPICS:
            raise TooManyTopicsError
        self._canvases[name] = canvas_topic(canvas_id) if canvas_id else ANY_CANVAS
        self._speaker.hold_back()
        self._speaker.listen(self._canvases.values())
        self._speaker.answer(SubscribedFrame(canvas_id=canvas_id))
        try:
            if canvas_id is not None:
                drawing = await self._subjects.drawings.state(self._speaker.principal.account_id, canvas_id)
                self._speaker.answer(StateFrame.from_domain(drawing))
        finally:
            self._speaker.release()

    async def _draw(self, canvas_id: str, text: str) -> None:
        principal = self._speaker.principal
        command = further_fields(text, "type", "canvas_id", "agent_id", "timestamp")
        await self._subjects.canvases.apply(principal.account_id, canvas_id, command, agent_id=principal.subject)
