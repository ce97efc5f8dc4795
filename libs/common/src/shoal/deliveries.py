"""Deliveries: the messages of one durable consumer, and what becomes of those that cannot be handled.

A message that fails is tried again with back-off while later ones go ahead; after `MAX_FAILURES` it is kept on the
stream DEAD and let go. While the database or NATS is away nothing counts as a failure, and nothing is tried: what was
received is handed back.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from shoal.database import Database, DatabaseUnavailableError
from shoal.messaging import ACK_WAIT_S, DEAD, Bus, MessagingUnavailableError, RejectedMessageError

MAX_FAILURES = 8
BACK_OFF_S = (0.2, 1, 5, 15, 30, 60, 120)
OUTAGE_S = 1.0
PATIENCE_S = 10.0
"""How long a stream may be missing at the start before that is worth a warning: another service may still make it."""
_REOPEN_S = 0.3
_MAX_REMEMBERED = 10_000
_NAME = re.compile(r"[A-Za-z0-9-]+")


class Fate(StrEnum):
    """What becomes of a message that was not handled."""

    RETRIED = "retried"
    """It comes again."""
    DEAD = "dead"
    """It is kept where an operator finds it, and comes no more."""
    STRANDED = "stranded"
    """It should be kept, and cannot be now: hand it back."""


class Deliveries:
    """Receives from one durable consumer.

    Args:
        service: Whose consumer it is.
        stream: Where the messages are.
        consumer: The durable consumer's name.
        subjects: Which messages; all of the stream's without any.
        ack_wait_s: How long this process may be dead before another has what it held.
    """

    def __init__(
        self,
        *,
        service: str,
        stream: str,
        consumer: str,
        database: Database,
        bus: Bus,
        subjects: Sequence[str] = (),
        ack_wait_s: float = ACK_WAIT_S,
    ) -> None:
        self._service = service
        self._stream = stream
        self._consumer = consumer
        self._database = database
        self._bus = bus
        self._subjects = subjects
        self._ack_wait_s = ack_wait_s
        self._failures: dict[int, int] = {}
        self._problem: str | None = "not subscribed yet"
        self._warned_of: str | None = None

    def problem(self) -> str | None:
        """Say that messages do not arrive, or None when they do."""
        return self._problem

    async def run(self, handle: Callable[[Sequence[Msg]], Awaitable[None]], *, at_once: int) -> None:
        """Hand over what arrives for ever, at most so many at once; each message must be answered or handed back."""
        now = asyncio.get_running_loop().time
        warned_from = now() + PATIENCE_S
        while True:
            try:
                pull = await self._bus.pull(
                    self._stream, self._consumer, subjects=self._subjects, ack_wait_s=self._ack_wait_s
                )
                self._problem, self._warned_of, warned_from = None, None, now()
                try:
                    while True:
                        await handle(await pull.next(at_once))
                finally:
                    self._problem = "not subscribed"
                    await pull.close()
            except MessagingUnavailableError as error:
                self._tell(error, is_worth_a_warning=now() >= warned_from)
                await asyncio.sleep(_REOPEN_S)

    def _tell(self, error: MessagingUnavailableError, *, is_worth_a_warning: bool) -> None:
        """Say in words why nothing arrives; the log has the cause, once."""
        cause = error.__cause__
        why = self._bus.problem() or (cause.description if isinstance(cause, APIError) else None) or "no answer"
        self._problem = f"not subscribed to NATS yet: {why}"
        if is_worth_a_warning and self._problem != self._warned_of:
            self._warned_of = self._problem
            structlog.get_logger().warning("not_subscribed", consumer=self._consumer, error=repr(cause or error))

    async def is_outage(self, error: Exception) -> bool:
        """Tell an outage, which all messages share, from a message whose own statements take too long or collide."""
        if isinstance(error, MessagingUnavailableError):
            return not self._bus.is_connected
        if isinstance(error, DatabaseUnavailableError):
            try:
                await self._database.ping()
            except DatabaseUnavailableError:
                return True
        return False

    async def hand_back(self, messages: Sequence[Msg]) -> None:
        """Let messages come again in a moment, and wait as long: what they need is away."""
        for message in messages:
            await _again(message, OUTAGE_S)
        await asyncio.sleep(OUTAGE_S)

    def handled(self, message: Msg) -> None:
        """Forget how often a message failed."""
        self._failures.pop(message.metadata.sequence.stream, None)

    async def failed(self, message: Msg, error: Exception) -> Fate:
        """Let a message come again later, or no more if it failed too often."""
        sequence = message.metadata.sequence.stream
        if len(self._failures) >= _MAX_REMEMBERED:
            self._failures.clear()
        tried = self._failures[sequence] = self._failures.get(sequence, 0) + 1
        log = structlog.get_logger()
        log.error("message_failed", subject=message.subject, tried=tried, error=repr(error), exc_info=error)
        if tried >= MAX_FAILURES:
            return await self.bury(message, repr(error))
        await _again(message, BACK_OFF_S[min(tried, len(BACK_OFF_S)) - 1])
        return Fate.RETRIED

    async def bury(self, message: Msg, reason: str) -> Fate:
        """Keep what cannot be handled where an operator finds it, then let it go."""
        sequence = message.metadata.sequence.stream
        headers = {name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-")}
        try:
            await self._bus.publish(
                f"shoal.dead.{self._service}.{self._consumer}",
                message.data,
                message_id=f"{self._consumer}:{sequence}",
                stream=DEAD,
                headers=_printable(headers | {"shoal-subject": message.subject, "shoal-reason": reason[:200]}),
            )
        except MessagingUnavailableError:
            if not self._bus.is_connected:
                return Fate.STRANDED
            await _again(message, BACK_OFF_S[-1])  # the stream of dead letters is full
            return Fate.RETRIED
        except RejectedMessageError as error:
            structlog.get_logger().error("dead_letter_refused", subject=message.subject, error=str(error))
        self.handled(message)
        with contextlib.suppress(NatsError, OSError):
            await message.term()
        structlog.get_logger().error("message_dead", subject=message.subject, reason=reason)
        return Fate.DEAD


async def _again(message: Msg, after_s: float) -> None:
    with contextlib.suppress(NatsError, OSError):
        await message.nak(delay=after_s)


def _printable(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep what may stand in a header, whatever a stranger sent."""
    return {
        name: "".join(character if " " <= character <= "~" else "?" for character in value)
        for name, value in headers.items()
        if _NAME.fullmatch(name)
    }
