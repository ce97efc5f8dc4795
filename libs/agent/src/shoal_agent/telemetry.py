"""Reporting under one pairing: samples go into its journal, and from there to the server."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

import psutil
from msgspec import UNSET

from shoal_agent.errors import FrameTooLargeError
from shoal_agent.frames import Error, ErrorBody, Frame, Metrics, Skills, Status, encode, timestamp
from shoal_agent.host import Gauges
from shoal_agent.journal import Journal
from shoal_agent.pairing import Pairing
from shoal_agent.stream import StreamStatus, TelemetryStream
from shoal_agent.work import Work

log = logging.getLogger(__name__)

MAX_MESSAGE = 2000
_FIRST_SAMPLE_S = 1.0
_GOODBYE_S = 5.0


class Telemetry:
    """Samples this program and what its gauges are of, and streams the samples."""

    def __init__(
        self,
        pairing: Pairing,
        journal: Journal,
        work: Work,
        gauges: Gauges,
        *,
        interval_s: float,
        on_report: Callable[[], None],
    ) -> None:
        self._agent_id, self.journal, self._work, self._gauges = pairing.agent_id, journal, work, gauges
        self._interval_s, self._on_report = interval_s, on_report
        self._is_disk_refusing = False
        self._stream = TelemetryStream(
            pairing.websocket_url, pairing.telemetry_token, journal, on_change=lambda _: on_report()
        )

    @property
    def status(self) -> StreamStatus:
        """How the stream is doing."""
        return self._stream.status

    def begin(self) -> None:
        """Say that the agent is online: the first frame of every run."""
        self._append(Status(agent_id=self._agent_id, status="online", timestamp=timestamp()))

    async def run(self, until: asyncio.Event) -> None:
        """Report until told to stop, and say goodbye; or until the server refuses for good."""
        streaming = asyncio.create_task(self._stream.run())
        sampling = asyncio.create_task(self._sample_for_ever())
        stopping = asyncio.create_task(until.wait())
        tasks = {streaming, sampling, stopping}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            sampling.cancel()
            if not streaming.done():
                await self._say_goodbye()
                self._stream.stop()
                await streaming
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def report_error(self, error_type: str, message: str, skill: str | None = None) -> None:
        """Tell the dashboard of an error. Any thread may call."""
        body = ErrorBody(error_type=error_type[:100], message=message[:MAX_MESSAGE], skill=skill or UNSET)
        self._append(Error(agent_id=self._agent_id, timestamp=timestamp(), data=body))

    def _append(self, frame: Frame) -> None:
        """Journal a frame. A full disk costs the frame, never the program."""
        try:
            self.journal.append(encode(frame))
        except (OSError, FrameTooLargeError) as error:
            if not self._is_disk_refusing:
                log.error("frames are being lost: %s", error)  # noqa: TRY400
            self._is_disk_refusing = True
            return
        self._is_disk_refusing = False
        self._stream.notify()

    async def _sample_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + min(_FIRST_SAMPLE_S, self._interval_s)
        while True:
            await asyncio.sleep(due - loop.time())
            due = max(due + self._interval_s, loop.time())
            await self._sample()
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self.journal.sync)
            self._on_report()

    async def _sample(self) -> None:
        try:
            usage = await self._gauges.read()
        except (psutil.Error, OSError) as error:
            log.warning("cannot sample memory and processors: %s", error)
            return
        body = self._work.metrics(memory_mb=usage.memory_mb, cpu_percent=usage.cpu_percent)
        self._append(Metrics(agent_id=self._agent_id, timestamp=timestamp(), data=body))
        if skills := self._work.skills():
            self._append(Skills(agent_id=self._agent_id, timestamp=timestamp(), data=skills))

    async def _say_goodbye(self) -> None:
        await self._sample()
        self._append(Status(agent_id=self._agent_id, status="offline", timestamp=timestamp()))
        if not await self._stream.drain(_GOODBYE_S):
            log.warning("stopping with %d frames to send; they go out at the next start", self.journal.pending)
