"""The agent: one state directory, one pairing at a time, telemetry for as long as the program runs."""

import asyncio
import contextlib
import logging
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Self

import msgspec

from shoal_agent.errors import InvalidSettingError, NotPairedError
from shoal_agent.host import Gauges, Host, instance_info
from shoal_agent.journal import Journal
from shoal_agent.pairing import Pairing
from shoal_agent.state import Report, StateDirectory
from shoal_agent.telemetry import Telemetry
from shoal_agent.work import Work

log = logging.getLogger(__name__)

DEFAULT_INTERVAL_S = 10.0
SHORTEST_INTERVAL_S = 0.1
_LOOK_EVERY_S = 1.0


async def pair(
    state_dir: Path | str | None,
    gateway_url: str,
    token: str,
    *,
    agent_id: str | None = None,
    handle: str | None = None,
    is_direct: bool = False,
) -> Pairing:
    """Confirm a pairing and keep it in a state directory; an agent that runs there takes it up at once.

    Args:
        state_dir: The directory; None means SHOAL_AGENT_STATE or `~/.shoal-agent`.
        gateway_url: Where the gateway is.
        token: The pairing token that the dashboard shows.
        agent_id: The agent's id; by default the one used before, else a new one.
        handle: How the agent would like to be called.
        is_direct: Stream to that very gateway: the address that its answer names is the one for the world outside, and
            may lead nowhere from here.

    Raises:
        InvalidSettingError: An argument cannot be used.
        PairingRefusedError: The server answered with an error.
        GatewayUnreachableError: No usable answer came.
    """
    from shoal_agent.client import confirm_pairing  # noqa: PLC0415 - a running agent does without

    state = StateDirectory.at(state_dir)
    pairing = await confirm_pairing(gateway_url, token, state.agent_id(agent_id), instance_info(), handle=handle)
    if is_direct:
        pairing = msgspec.structs.replace(
            pairing, websocket_url=f"ws{pairing.gateway_url.rstrip('/').removeprefix('http')}/telemetry"
        )
    state.save_pairing(pairing)
    return pairing


class Agent:
    """A paired program: inside `async with` it streams in the background. Any thread may call its `record_…`.

    When the server refuses it or its pairing is deleted, it says so in the log and in its report, stops
    streaming, and waits for `pair` to be called for the same directory. The host program is never disturbed.
    """

    def __init__(self, state: StateDirectory, *, interval_s: float, gauges: Gauges) -> None:
        self._state, self._interval_s = state, interval_s
        self._work, self._gauges = Work(), gauges
        self._stopping, self._is_new_pairing = asyncio.Event(), asyncio.Event()
        self._has_begun = asyncio.Event()
        self._resources = contextlib.ExitStack()
        self._running: asyncio.Task[None] | None = None
        self._telemetry: Telemetry | None = None
        self._last_report: Report | None = None
        self._agent_id = ""

    @classmethod
    def open(
        cls,
        state_dir: Path | str | None = None,
        *,
        interval_s: float = DEFAULT_INTERVAL_S,
        gauges: Gauges | None = None,
    ) -> Self:
        """Return the agent of a state directory, to be entered with `async with`.

        Args:
            state_dir: The directory; None means SHOAL_AGENT_STATE or `~/.shoal-agent`.
            interval_s: Seconds between samples, at least 0.1.
            gauges: What memory and processors are told of; None means this machine.

        Raises:
            InvalidSettingError: An argument cannot be used.
        """
        if not interval_s >= SHORTEST_INTERVAL_S:
            raise InvalidSettingError("interval", f"at least {SHORTEST_INTERVAL_S} s")
        return cls(StateDirectory.at(state_dir), interval_s=interval_s, gauges=gauges or Host())

    async def __aenter__(self) -> Self:
        """Start streaming.

        Raises:
            NotPairedError: The directory holds no pairing.
            AlreadyRunningError: Another process uses the directory.
        """
        with contextlib.ExitStack() as resources:
            resources.enter_context(self._state.locked())
            self._agent_id = self._state.pairing().agent_id
            self._resources = resources.pop_all()
        self._running = asyncio.create_task(self._run())
        await self._has_begun.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        try:
            await self.run()
        finally:
            self._resources.close()

    @property
    def agent_id(self) -> str:
        """Who this agent is."""
        return self._agent_id

    @property
    def report(self) -> Report | None:
        """How it is doing, or how it was when it last streamed; None before that."""
        if self._telemetry is None:
            return self._last_report
        return Report(
            pid=os.getpid(),
            agent_id=self._agent_id,
            updated_at=time.time(),
            stream=self._telemetry.status,
            journal=self._telemetry.journal.stats(),
        )

    async def run(self) -> None:
        """Wait until `stop` is called."""
        if self._running is not None:
            await asyncio.shield(self._running)

    def stop(self) -> None:
        """Say goodbye to the server, for at most five seconds, and end `run`."""
        self._stopping.set()
        self._is_new_pairing.set()

    def record_message(self, latency_ms: float, skill: str | None = None, revenue: Decimal | str | int = 0) -> None:
        """Count an answered message: how long it took, which skill answered, what it earned.

        Raises:
            ValueError: Latency or revenue is negative or no finite number.
        """
        self._work.record_message(latency_ms, skill, revenue)

    def record_error(self, error_type: str, message: str, skill: str | None = None) -> None:
        """Count an error and tell the dashboard of it, in words for people, without any user's content."""
        self._work.record_error()
        if self._telemetry is not None:
            self._telemetry.report_error(error_type, message, skill)

    def record_tokens(self, tokens: int) -> None:
        """Count tokens that a model took, read and written, whether or not they made an answer.

        Raises:
            ValueError: They are negative.
        """
        self._work.record_tokens(tokens)

    def record_sessions(self, active: int) -> None:
        """Say how many sessions are open now."""
        self._work.active_sessions = active

    async def _run(self) -> None:
        """Serve one pairing after another."""
        watching = asyncio.create_task(self._watch(self._state.pairing_mark()))
        try:
            while not self._stopping.is_set():
                self._is_new_pairing.clear()
                await self._serve_pairing()
                if not self._stopping.is_set():
                    await self._is_new_pairing.wait()
        except Exception:
            log.exception("reporting has stopped")
            raise
        finally:
            self._has_begun.set()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _serve_pairing(self) -> None:
        pairing = self._find_pairing()
        if self._state.remove_other_journals(pairing):
            log.warning("frames that waited for another pairing were deleted")
        if pairing is None:
            log.error("not paired; run `shoal-agent pair`")
            return
        self._agent_id = pairing.agent_id
        with Journal(self._state.journal_directory(pairing)) as journal:
            self._telemetry = Telemetry(
                pairing,
                journal,
                self._work,
                self._gauges,
                interval_s=self._interval_s,
                on_report=self._save_report,
            )
            self._telemetry.begin()
            self._has_begun.set()
            try:
                await self._telemetry.run(self._is_new_pairing)
            finally:
                self._save_report()
                self._telemetry = None

    def _find_pairing(self) -> Pairing | None:
        try:
            return self._state.pairing()
        except NotPairedError:
            return None

    async def _watch(self, mark: tuple[int, int] | None) -> None:
        """Notice a `pair` or `unpair` by another process."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            before, mark = mark, self._state.pairing_mark()
            if mark != before:
                self._is_new_pairing.set()

    def _save_report(self) -> None:
        self._last_report = self.report
        with contextlib.suppress(OSError):
            if self._last_report is not None:
                self._state.save_report(self._last_report)
