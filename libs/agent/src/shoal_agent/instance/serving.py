"""Serving an instance until told to stop."""

import asyncio
import contextlib
import logging
import os
import re
import time
from pathlib import Path

import msgspec

from shoal_agent.agent import Agent, pair
from shoal_agent.errors import AgentError, GatewayUnreachableError, NotPairedError
from shoal_agent.host import Gauges, Host
from shoal_agent.instance.folder import Folder, Ready, Settings
from shoal_agent.instance.limits import join, limit_cores, limit_memory
from shoal_agent.instance.logbook import open_log
from shoal_agent.instance.pages import Screen, StatusPage
from shoal_agent.instance.ssh import open_ssh
from shoal_agent.instance.usage import InstanceUsage
from shoal_agent.state import StateDirectory

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})
DESKTOP, GATEWAY = 3000, 8080
"""The ports of an instance's pages, as everybody names them."""
LOOK_S = 0.5
_PLACEHOLDER = re.compile(rb"\$\{([A-Z][A-Z0-9_]*)\}")


class Instance:
    """One instance at work."""

    def __init__(self, folder: Folder, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings
        self._stopping = asyncio.Event()
        self._started = time.monotonic()
        self._agent: Agent | None = None

    def stop(self) -> None:
        """Ask for the end."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve everything, say so, and report telemetry, until `stop`.

        Raises:
            OSError: A port is taken.
        """
        settings = self._settings
        logbook = open_log(self._folder.log, is_on_stdout=settings.is_logging_to_stdout)
        self._folder.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        cgroup = join(settings.cgroup)
        limits = f"{limit_memory(settings.memory_limit, cgroup)}, {limit_cores(settings.cpu_limit, cgroup)}"
        log.info("Starting instance %s (pid %d): %s", settings.name, os.getpid(), limits)
        self._folder.take_keys()
        self._read_config()
        async with contextlib.AsyncExitStack() as served:
            gateway = await served.enter_async_context(await StatusPage(self._status).open(LOOPBACK, 0))
            gateway_port: int = next(iter(gateway.sockets)).getsockname()[1]
            for port in (settings.desktop_port, settings.terminal_port):
                await served.enter_async_context(await Screen(settings.name, logbook).open(settings.host, port))
            desktop_host = LOOPBACK if settings.host in ANY_ADDRESS else settings.host
            ways = {DESKTOP: (desktop_host, settings.desktop_port), GATEWAY: (LOOPBACK, gateway_port)}
            ssh = await served.enter_async_context(await open_ssh(self._folder, settings, ways))
            log.info("Screens on %s:%d and %d", settings.host, settings.desktop_port, settings.terminal_port)
            log.info("SSH server on %s:%d for user %s", settings.ssh_host, ssh.get_port(), settings.ssh_user)
            self._folder.say_ready(Ready(os.getpid(), ssh.get_port(), gateway_port))
            await self._work(self._gauges(cgroup))
        log.info("Stopped")

    def _gauges(self, joined: Path | None) -> Gauges:
        settings = self._settings
        if not settings.is_measured_alone:
            return Host()
        return InstanceUsage(joined or (Path(settings.own_cgroup) if settings.own_cgroup else None))

    async def _work(self, gauges: Gauges) -> None:
        works = (self._look_around(), self._seek_place(), self._report(gauges))
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await self._stopping.wait()
            log.info("Stopping")
            await tasks[-1]  # says goodbye to the dashboard
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_around(self) -> None:
        """Take keys that are given later, and end when nobody looks after us any more."""
        while True:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(OSError):
                if self._folder.take_keys():
                    log.info("ssh: a key was added")
            if self._is_alone():
                log.warning("Nobody has looked after this instance for %.0f s", self._settings.alone_grace_s)
                self.stop()
                return

    def _is_alone(self) -> bool:
        if not self._settings.heartbeat:
            return False
        try:
            return time.time() - Path(self._settings.heartbeat).stat().st_mtime > self._settings.alone_grace_s
        except OSError:
            return True

    async def _seek_place(self) -> None:
        """Redeem each pairing token that is given, once the gateway answers."""
        redeemed, pause = "", LOOK_S
        while True:
            token = self._folder.pairing_token()
            if token and token != redeemed:
                try:
                    await self._pair(token)
                    redeemed, pause = token, LOOK_S
                except GatewayUnreachableError as error:
                    log.info("pairing waits: %s", str(error).partition("\n")[0])
                    pause = min(pause * 2, 15.0)
                except AgentError as error:
                    log.warning("pairing failed: %s", str(error).partition("\n")[0])
                    redeemed = token
            await asyncio.sleep(pause)

    async def _pair(self, token: str) -> None:
        settings = self._settings
        pairing = await pair(
            self._folder.agent,
            settings.gateway_url,
            token,
            agent_id=settings.agent_id,
            handle=settings.name,
            is_direct=True,
        )
        log.info("paired with the dashboard as %s", pairing.agent_id)

    async def _report(self, gauges: Gauges) -> None:
        """Report telemetry once there is a place for it."""
        state = StateDirectory.at(self._folder.agent)
        while not self._stopping.is_set():
            try:
                state.pairing()
            except NotPairedError:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOK_S)
                continue
            interval_s = self._settings.interval_s
            async with Agent.open(self._folder.agent, interval_s=interval_s, gauges=gauges) as self._agent:
                await self._stopping.wait()

    def _read_config(self) -> None:
        """Look at the config; what is wrong with it is the agent's own matter, and is only told."""
        config = self._folder.config()
        try:
            msgspec.json.decode(config)
        except (msgspec.DecodeError, RecursionError) as error:
            log.warning("clawdbot.json cannot be read: %s", error)
            return
        wanted = {name.decode() for name in _PLACEHOLDER.findall(config)}
        missing = sorted(name for name in wanted if not os.environ.get(name))
        log.info("clawdbot.json: %d bytes%s", len(config), f"; without {', '.join(missing)}" if missing else "")

    def _status(self) -> dict[str, object]:
        report = self._agent.report if self._agent else None
        return {
            "instance": self._settings.name,
            "agent_id": self._settings.agent_id,
            "status": "stopping" if self._stopping.is_set() else "running",
            "uptime_s": int(time.monotonic() - self._started),
            "telemetry": report.stream.state if report else "not paired",
        }
