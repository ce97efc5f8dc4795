"""The connection: kept for ever, the streams in order, and publishing."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, PubAck
from nats.js.errors import APIError

from shoal.messaging.errors import MessagingUnavailableError, RejectedMessageError
from shoal.messaging.live import LiveMessages
from shoal.messaging.pull import Pull
from shoal.messaging.streams import EVENTS, StreamLimits, ensure_stream, streams

ACK_WAIT_S = 10.0
"""After which what a process held when it died goes to another."""
_SUBJECT = re.compile(r"[^\s.*>]+(?:\.[^\s.*>]+)+")
_FORBIDDEN = re.compile(r'permissions violation for publish to "([^"]+)"')
_MAX_SILENCES = 3
"""How often in a row a server may fail to answer on a connection that looks well, before it is made anew."""
_BAD_REQUEST = 400
_ACCOUNT_FULL = 10002
"""The one refusal among those of the message itself that passes when room is made."""


class Bus:
    """One connection to NATS, kept for as long as the process lives."""

    def __init__(
        self, url: str, *, name: str, limits: StreamLimits | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._url = url
        self._tls = tls
        self._name = name
        self._limits = limits or StreamLimits()
        self._client = Client()
        self._jetstream: JetStreamContext = self._client.jetstream(timeout=3)
        self._was_reached = False
        self._streams_ready = False
        self._is_closing = False
        self._changed = asyncio.Event()
        self._publishing: dict[str, set[asyncio.Timeout]] = {}
        self._forbidden: set[str] = set()
        self._live = LiveMessages(lambda: self._client)

    @property
    def client(self) -> Client:
        """The nats-py client, for core publish and subscribe.

        Raises:
            MessagingUnavailableError: The server was never reached. What is asked of a client before its first
                connection stands would be lost, and what waits for it too.
        """
        if not self._was_reached:
            raise MessagingUnavailableError(retry_after_s=1)
        return self._client

    @property
    def is_connected(self) -> bool:
        """Whether the server can be reached at this moment."""
        return self._was_reached and bool(self._client.is_connected)

    async def run(self) -> None:
        """Connect, keep the streams as they should be, and fail only when the client gave up for good.

        Raises:
            ConnectionError: The client closed itself: the process must start anew.
        """
        while not self._was_reached:
            try:
                await self._connect()
            except (OSError, NatsError, TimeoutError) as error:
                structlog.get_logger().warning("nats_unreachable", error=repr(error))
                await asyncio.sleep(0.5)
        silences = 0
        while not self._client.is_closed:
            self._changed.clear()
            try:
                await self._ensure_streams()
            except (OSError, NatsError, TimeoutError) as error:
                structlog.get_logger().warning("streams_not_ready", error=repr(error))
                silences = silences + 1 if isinstance(error, TimeoutError) else 0
                if silences >= _MAX_SILENCES:
                    silences = 0
                    await self._client.force_reconnect()
                await asyncio.sleep(0.5)
            else:
                silences = 0
                self._streams_ready = True
                await self._changed.wait()  # a server that comes back may have lost them
        raise ConnectionError("the NATS client gave up")

    def problem(self) -> str | None:
        """Say why messages cannot flow, or None when they can."""
        if not self.is_connected:
            return "not connected"
        return None if self._streams_ready else "streams are not there yet"

    async def ping(self) -> None:
        """Prove that the streams answer.

        Raises:
            MessagingUnavailableError: They do not.
        """
        if not self._was_reached:
            raise MessagingUnavailableError(retry_after_s=1)
        try:
            await self._jetstream.stream_info(EVENTS)
        except (NatsError, OSError, TimeoutError) as error:
            raise MessagingUnavailableError(retry_after_s=1) from error

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str,
        stream: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 5,
    ) -> PubAck:
        """Publish to a stream and wait until it is stored.

        Args:
            subject: Every token must already be valid; wildcards are refused here.
            payload: The exact bytes.
            message_id: Stable across retries: the stream drops repeats by it.
            stream: The stream that must take it.
            headers: Further headers, ASCII.
            timeout_s: How long to wait for the acknowledgement.

        Raises:
            MessagingUnavailableError: Not stored, or not known to be: publish again with the same id.
            RejectedMessageError: Publishing again is useless.
        """
        told = {**(headers or {}), "Nats-Msg-Id": message_id}
        self._check(subject, payload, told)
        try:
            with self._listening_for_refusal(subject, timeout_s) as deadline:
                async with deadline:
                    return await self._jetstream.publish(
                        subject, payload, timeout=timeout_s + 1, stream=stream, headers=told
                    )
        except APIError as error:
            if error.code == _BAD_REQUEST and error.err_code != _ACCOUNT_FULL:
                raise RejectedMessageError(str(error)) from error
            raise MessagingUnavailableError(retry_after_s=1) from error
        except (NatsError, OSError, TimeoutError) as error:
            if subject.lower() in self._forbidden:
                raise RejectedMessageError(f"this user may not publish to {subject}") from error
            raise MessagingUnavailableError(retry_after_s=1) from error

    async def publish_live(
        self, subject: str, payload: bytes, *, headers: dict[str, str] | None = None, is_line: bool = False
    ) -> None:
        """Publish to whoever listens right now, in the order of each subject; nothing is stored, nothing is raised.

        Args:
            subject: Where it is heard.
            payload: The exact bytes.
            headers: Those of the message; all lines of a subject have the same.
            is_line: It may come with others behind it in one message, a line each; then all of its subject are lines.
        """
        if self.is_connected:
            self._live.offer(subject, payload, headers, is_line=is_line)

    async def pull(
        self,
        stream: str,
        durable: str,
        *,
        subjects: Sequence[str] = (),
        ack_wait_s: float = ACK_WAIT_S,
        max_ack_pending: int = 1000,
    ) -> "Pull":
        """Make or update a durable consumer and open a pull on it.

        Args:
            stream: Where the messages are.
            durable: The consumer's name.
            subjects: Which messages; all of the stream's without any.
            ack_wait_s: How long a process may be dead before its messages go to another; one that lives keeps them.
            max_ack_pending: How many messages may be under way at once.

        Raises:
            MessagingUnavailableError: The server does not answer.
        """
        client = self.client
        settings = ConsumerConfig(
            durable_name=durable,
            filter_subjects=list(subjects) or None,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait_s,
            max_ack_pending=max_ack_pending,
            max_deliver=-1,
        )
        try:
            await self._jetstream.add_consumer(stream, settings)
            return await Pull.open(client, stream, durable, ack_wait_s=ack_wait_s)
        except (NatsError, OSError, TimeoutError) as error:
            raise MessagingUnavailableError(retry_after_s=1) from error

    async def close(self) -> None:
        """Send what is buffered and close; never waits longer than five seconds."""
        self._is_closing = True
        if not self._was_reached:
            return
        await self._live.finish(within_s=1)
        for end, within_s in ((self._client.drain, 3), (self._client.close, 1)):
            ending = asyncio.ensure_future(end())
            await asyncio.wait({ending}, timeout=within_s)  # and no longer: the client may swallow a cancellation
            ending.cancel()
            ending.add_done_callback(_forget)
        _cut(self._client)

    async def _connect(self) -> None:
        """Connect for the first time, by a client of its own: one that failed keeps what it was asked meanwhile."""
        client = Client()
        try:
            await client.connect(
                self._url,
                tls=self._tls,
                name=self._name,
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                connect_timeout=2,
                ping_interval=10,
                max_outstanding_pings=2,
                drain_timeout=2,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
            )
        except BaseException:
            with contextlib.suppress(NatsError, OSError):
                await client.close()
            raise
        self._client, self._jetstream = client, client.jetstream(timeout=3)
        self._was_reached = True

    async def _ensure_streams(self) -> None:
        for stream in streams(self._limits):
            await ensure_stream(self._jetstream, stream)

    def _check(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        """Refuse here what the server would refuse less kindly."""
        if not _SUBJECT.fullmatch(subject):
            raise RejectedMessageError(f"{subject!r} is not a subject")
        if not self.is_connected:
            raise MessagingUnavailableError(retry_after_s=1)
        if len(payload) + _size(headers) > self._client.max_payload:  # the server would cut the connection
            raise RejectedMessageError(f"{len(payload)} bytes are too many")

    @contextlib.contextmanager
    def _listening_for_refusal(self, subject: str, timeout_s: float) -> Iterator[asyncio.Timeout]:
        """Lend a deadline that passes at once when the server says that this user may not publish there.

        The server tells that beside the answer, which never comes; NATS spells the subject in lower case there.
        """
        name, deadline = subject.lower(), asyncio.timeout(timeout_s)
        self._forbidden.discard(name)
        waiting = self._publishing.setdefault(name, set())
        waiting.add(deadline)
        try:
            yield deadline
        finally:
            waiting.discard(deadline)
            if not waiting:
                self._publishing.pop(name, None)

    async def _on_error(self, error: Exception) -> None:
        structlog.get_logger().warning("nats_error", error=repr(error))
        if found := _FORBIDDEN.search(str(error).lower()):
            self._forbidden.add(found[1])
            for deadline in self._publishing.get(found[1], ()):
                if not deadline.expired():
                    deadline.reschedule(asyncio.get_running_loop().time())

    async def _on_disconnected(self) -> None:
        if not self._is_closing:
            structlog.get_logger().warning("nats_disconnected")

    async def _on_reconnected(self) -> None:
        structlog.get_logger().info("nats_reconnected")
        self._changed.set()

    async def _on_closed(self) -> None:
        self._changed.set()


def _size(headers: Mapping[str, str]) -> int:
    """Bound what headers take on the wire, with the stream's name that is added to them."""
    return 128 + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())


def _cut(client: Client) -> None:
    """Let go of a client's socket: one that closed is not touched, one that could not has no other way to do so."""
    writer = getattr(client._transport, "_io_writer", None)  # noqa: SLF001
    if writer is not None:
        writer.transport.abort()


def _forget(ending: "asyncio.Future[None]") -> None:
    """Take note of how something ended, and say nothing: a connection that is given up may break."""
    if not ending.cancelled():
        ending.exception()
