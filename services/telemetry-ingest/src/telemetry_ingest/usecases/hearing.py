"""Hearing: what an admitted speaker says, and what is done about it."""

import asyncio
from collections.abc import Collection
from typing import Protocol

from msgspec import Struct

from shoal.clock import Clock
from shoal.errors import UnavailableError
from telemetry_ingest.clients.publisher import Publisher
from telemetry_ingest.config import Config
from telemetry_ingest.domain.closings import FOREIGN_AGENT, STALLED, TRY_AGAIN, UNAUTHORIZED, Closing
from telemetry_ingest.domain.credentials import Credential
from telemetry_ingest.domain.frames import (
    MAX_FRAME_BYTES,
    AgentFrame,
    AuthError,
    AuthFrame,
    AuthSuccess,
    BatchFrame,
    Limits,
    PingFrame,
    Pong,
    ProtocolError,
    Ref,
    SubscribeFrame,
    UnsubscribeFrame,
)
from telemetry_ingest.domain.reading import (
    MalformedFrameError,
    RefusedFrameError,
    read_agent_frame,
    read_client_frame,
)
from telemetry_ingest.errors import CredentialUnknownError
from telemetry_ingest.instruments import Instruments
from telemetry_ingest.usecases.acknowledgements import Acknowledgements
from telemetry_ingest.usecases.admissions import Admissions, Visitor
from telemetry_ingest.usecases.credentials import Credentials
from telemetry_ingest.usecases.intake import Intake, UnknownAgentError
from telemetry_ingest.usecases.outgoing import Outgoing

MAX_PONGS_DUE = 512
MEET_EVERY_S = 0.4
MEET_TIMES = 5


class Means(Struct, frozen=True):
    """What every socket works with."""

    config: Config
    clock: Clock
    credentials: Credentials
    admissions: Admissions
    publisher: Publisher
    instruments: Instruments


class Speaker(Visitor, Protocol):
    """A socket, as those see it who do what its frames ask."""

    outgoing: Outgoing
    muted: set[str]

    def end(self, closing: Closing) -> None:
        """Close it."""
        ...


class Hearing:
    """Listens to one speaker.

    Args:
        agents: Whom the speaker may speak for; may grow and shrink.
        epoch: In which its numbered frames stand, if it named one.
    """

    def __init__(
        self, means: Means, speaker: Speaker, credential: Credential, agents: Collection[str], epoch: str | None
    ) -> None:
        self._means = means
        self._speaker = speaker
        self._credential = credential
        self._agents = agents
        self._pongs_due = 0
        self._acknowledgements = Acknowledgements(speaker.outgoing, give_up=self._give_up)
        self._intake = self._open_intake(epoch)
        self._epoch = epoch

    @property
    def is_agent(self) -> bool:
        """Whether an agent's own credential opened the socket."""
        return self._credential.is_agent

    def welcome(self) -> None:
        """Say that the speaker is in, and what it may do."""
        principal, config = self._credential.principal, self._means.config
        limits = Limits(config.messages_per_second, MAX_FRAME_BYTES, round(config.idle_timeout.total_seconds()))
        self._speaker.outgoing.answer(
            AuthSuccess(
                user_id=principal.user_id,
                agents=sorted(self._agents),
                account_id=principal.account_id,
                server_time=self._means.clock.now(),
                limits=limits,
            )
        )

    async def hear(self, text: str) -> int:
        """Do what a message asks; returns for how many messages it counts.

        Raises:
            MalformedFrameError: It is no frame at all.
        """
        try:
            frame = read_client_frame(text)
            if isinstance(frame, AgentFrame):
                await self._take(frame, None)
            elif isinstance(frame, BatchFrame):
                return await self._take_all(frame)
            else:
                await self._obey(frame)
        except RefusedFrameError as error:
            self._refuse(error, None)
        return 1

    async def settle(self, timeout_s: float) -> None:
        """Wait until everything that was heard is stored, if that is soon, and say so."""
        stored = asyncio.Event()
        self._intake.when_stored(stored.set)
        try:
            async with asyncio.timeout(timeout_s):
                await stored.wait()
        except TimeoutError:
            return
        self._acknowledgements.tell()

    def stop(self) -> None:
        """Say nothing more."""
        self._acknowledgements.stop()

    # frames about agents

    async def _take(self, frame: AgentFrame, index: int | None) -> None:
        try:
            self._intake.take(frame)
        except UnknownAgentError as error:
            await self._meet(frame, Ref(seq=error.ref.seq, index=index))

    async def _take_all(self, batch: BatchFrame) -> int:
        for index, item in enumerate(batch.items):
            if self._speaker.ended_at is not None:
                break
            try:
                await self._take(read_agent_frame(item), index)
            except RefusedFrameError as error:
                self._refuse(error, index)
            except MalformedFrameError:
                self._refuse(RefusedFrameError("invalid_frame", "An item is a frame about an agent."), index)
        return max(1, len(batch.items))

    async def _meet(self, frame: AgentFrame, ref: Ref) -> None:
        """Look for an agent that we do not know of yet: it may have been paired a moment ago."""
        for _ in range(0 if self._credential.is_agent else MEET_TIMES):
            try:
                await self._means.admissions.refresh(self._credential)
            except UnavailableError:
                self._speaker.end(TRY_AGAIN)
                return
            if frame.agent_id in self._agents:
                self._intake.take(frame)
                return
            await asyncio.sleep(MEET_EVERY_S)
        self._means.instruments.frames.labels(frame.kind, "refused").inc()
        message = "The credential does not speak for this agent."
        self._speaker.outgoing.answer(ProtocolError("agent_not_yours", message, ref))
        self._speaker.end(FOREIGN_AGENT)

    def _refuse(self, error: RefusedFrameError, index: int | None) -> None:
        self._means.instruments.frames.labels("any", "refused").inc()
        ref = Ref(seq=error.ref.seq, index=index)
        told = ProtocolError(error.code, error.message, None if ref == Ref() else ref)
        self._speaker.outgoing.answer(told)
        self._intake.count_refused(error)

    def _open_intake(self, epoch: str | None) -> Intake:
        return Intake(
            self._means.publisher,
            self._means.clock,
            account_id=self._credential.principal.account_id,
            agents=self._agents,
            epoch=epoch,
            sender=self._acknowledgements,
            on_agent=self._speak_for,
        )

    def _speak_for(self, agent_id: str) -> None:
        self._means.admissions.speak_for(self._speaker, self._credential, agent_id)

    def _give_up(self) -> None:
        self._speaker.end(TRY_AGAIN)

    # everything else

    async def _obey(self, frame: AuthFrame | PingFrame | SubscribeFrame | UnsubscribeFrame) -> None:
        match frame:
            case PingFrame():
                self._ping()
            case SubscribeFrame(agent_id=agent_id) if agent_id in self._agents:
                self._speaker.muted.discard(agent_id)
                if self._credential.is_agent:
                    await self._means.admissions.watch(self._speaker, self._credential)
            case UnsubscribeFrame(agent_id=agent_id) if agent_id in self._agents:
                self._speaker.muted.add(agent_id)
            case SubscribeFrame() | UnsubscribeFrame():
                raise RefusedFrameError("agent_not_found", "There is no such agent here.")
            case AuthFrame():
                await self._prove_again(frame)

    def _ping(self) -> None:
        self._pongs_due += 1
        if self._pongs_due > MAX_PONGS_DUE:
            self._speaker.end(STALLED)
        else:
            self._intake.when_stored(self._pong)

    def _pong(self) -> None:
        self._pongs_due -= 1
        self._acknowledgements.tell()
        self._speaker.outgoing.answer(Pong(self._means.clock.now()))

    async def _prove_again(self, frame: AuthFrame) -> None:
        """Answer a second auth frame: the same account again, perhaps in another epoch."""
        try:
            again = await self._means.credentials.resolve(frame.token)
        except CredentialUnknownError as error:
            self._speaker.outgoing.answer(AuthError(error.code, error.message))
            self._speaker.end(UNAUTHORIZED)
            return
        except UnavailableError:
            self._speaker.end(TRY_AGAIN)
            return
        if again.principal.account_id != self._credential.principal.account_id:
            self._speaker.outgoing.answer(AuthError("already_authenticated", "This socket is another account's."))
            self._speaker.end(UNAUTHORIZED)
            return
        if frame.epoch is not None and frame.epoch != self._epoch:
            self._begin_epoch(frame.epoch)
        self.welcome()

    def _begin_epoch(self, epoch: str) -> None:
        """Read the numbers of what follows in another epoch; what came before is no longer acknowledged by number."""
        before = self._intake
        self._acknowledgements.stop()
        self._acknowledgements = Acknowledgements(self._speaker.outgoing, give_up=self._give_up)
        self._epoch = epoch
        self._intake = self._open_intake(epoch)
        self._intake.last = before.last
