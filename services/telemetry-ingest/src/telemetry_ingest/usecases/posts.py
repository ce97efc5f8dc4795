"""Posts: frames that come in one request, each taken or refused on its own; answered once they are stored."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from shoal.clock import Clock
from shoal.errors import UnavailableError
from shoal.identity import Principal, Via
from telemetry_ingest.clients.publisher import Publisher
from telemetry_ingest.domain.frames import Ref
from telemetry_ingest.domain.posts import Posted, RefusedItem
from telemetry_ingest.domain.reading import MalformedFrameError, RefusedFrameError, read_agent_frame
from telemetry_ingest.errors import NotASenderError
from telemetry_ingest.instruments import Instruments
from telemetry_ingest.usecases.credentials import Credentials
from telemetry_ingest.usecases.intake import Intake, UnknownAgentError
from telemetry_ingest.usecases.rosters import Rosters

AT_ONCE = 250
STORED_WITHIN_S = 10.0


class NotStoredError(UnavailableError):
    """The samples could not be stored in time; send them again, with the same epoch and numbers."""

    code = "not_stored"


class Posts:
    """Takes frames from requests, and answers once they are stored."""

    def __init__(
        self, clock: Clock, credentials: Credentials, rosters: Rosters, publisher: Publisher, instruments: Instruments
    ) -> None:
        self._clock = clock
        self._credentials = credentials
        self._rosters = rosters
        self._publisher = publisher
        self._instruments = instruments

    async def take(self, items: Sequence[msgspec.Raw], *, epoch: str | None, by: Principal) -> Posted:
        """Store what can be stored.

        Raises:
            NotASenderError: Neither a user nor an agent asks.
            CredentialUnknownError: The agent's pairing has ended.
            NotStoredError: Not known to be stored.
        """
        sender = _Sender()
        intake = Intake(
            self._publisher,
            self._clock,
            account_id=by.account_id,
            agents=await self._agents(by),
            epoch=epoch,
            sender=sender,
            on_agent=lambda _: None,
        )
        try:
            async with asyncio.timeout(STORED_WITHIN_S):
                refused = await self._take_all(items, intake)
                stored = asyncio.Event()
                intake.when_stored(stored.set)
                sender.on_given_up = stored.set
                await stored.wait()
        except TimeoutError:
            raise NotStoredError(retry_after_s=1) from None
        if sender.is_given_up:
            raise NotStoredError(retry_after_s=1)
        self._instruments.frames.labels("any", "refused").inc(len(refused))
        return Posted(len(items) - len(refused), refused, sender.last_seq)

    async def _take_all(self, items: Sequence[msgspec.Raw], intake: Intake) -> list[RefusedItem]:
        refused: list[RefusedItem] = []
        for index, item in enumerate(items):
            if index % AT_ONCE == 0:
                await self._publisher.room()
                await asyncio.sleep(0)
            try:
                intake.take(read_agent_frame(item))
            except RefusedFrameError as error:
                refused.append(RefusedItem(index, error.ref, error.code, error.message))
                intake.count_refused(error)
            except UnknownAgentError as error:
                message = "The credential does not speak for this agent."
                refused.append(RefusedItem(index, error.ref, "agent_not_yours", message))
            except MalformedFrameError as error:
                refused.append(RefusedItem(index, Ref(), "invalid_frame", f"Not a frame: {error}."))
        return refused

    async def _agents(self, by: Principal) -> frozenset[str]:
        if by.is_user:
            return frozenset(await self._rosters.agents_of(by.account_id))
        if by.via is not Via.TELEMETRY_TOKEN:
            raise NotASenderError
        await self._credentials.check(by)
        return frozenset({by.agent_id})


class _Sender:
    """Remembers what became of one request's samples."""

    def __init__(self) -> None:
        self.last_seq: int | None = None
        self.is_given_up = False
        self.on_given_up: Callable[[], None] = lambda: None

    def acknowledge(self, seq: int) -> None:
        self.last_seq = max(seq, self.last_seq or 0)

    def give_up(self) -> None:
        self.is_given_up = True
        self.on_given_up()
