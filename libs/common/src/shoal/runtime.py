"""Running services: one or all in this process; readiness, drain, and an exit that says who failed.

The mode never changes how services talk: in one process each still has its own server, pool, connection and factory.
States of a service: starting → running → draining → stopped. The first failure stops everything and is named.
"""

import asyncio
import contextlib
import contextvars
import functools
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

import asyncpg
import structlog

from shoal.config import load
from shoal.http.health import Probe
from shoal.http.server import bind, make_server, until_listening
from shoal.resources import Component, Resources
from shoal.service import Service
from shoal.tasks import end

SCHEMA_POLL_S = 0.3
PROVEN_FOR_S = 2.0
"""How long a statement that went well shows that the database is there."""


class ServiceFailedError(Exception):
    """A part of a service ended that never should."""


class RunningService:
    """One service at work."""

    def __init__(self, service: Service, environment: Mapping[str, str]) -> None:
        self.service = service
        config = load(service.config, service.prefix, environment)
        self.resources = Resources(service.name, config, environment)
        self._built = service.build(self.resources)
        self._server = make_server(
            self._built.app,
            host=config.host,
            port=config.port or service.port,
            drain_timeout_s=config.drain_timeout.total_seconds(),
            http=self._built.http,
            max_frame_bytes=self._built.max_frame_bytes,
        )
        self._schema_problem: str | None = "the schema has not been checked yet"
        self._tasks: list[asyncio.Task[None]] = []
        self._hurried = asyncio.Event()
        self.address: tuple[str, int] = ("", 0)

    async def start(self) -> None:
        """Listen, and set every component to work.

        Raises:
            RuntimeError: The port cannot be had.
        """
        database, bus, health = self.resources.database, self.resources.bus, self.resources.health
        health.add_probe("nats", Probe(bus.ping, before=bus.problem))
        health.add("schema", lambda: self._schema_problem)
        ask_database = functools.partial(database.ping, unless_answered_within_s=PROVEN_FOR_S)
        health.add_probe("database", Probe(ask_database, before=self._before_database))
        for component in self._built.components:
            health.add(component.name, component.problem)
        host, port = self._server.config.host, self._server.config.port
        listening = bind(host, port, half_open_after_s=self._built.half_open_after_s)
        serving = self._spawn("server", self._server.serve(sockets=[listening]))
        self.address = await until_listening(self._server, serving)
        self._spawn("nats", self.resources.bus.run())
        self._spawn("schema", self._work_once_migrated())
        structlog.get_logger().info("service_started", service=self.service.name, port=self.address[1])

    async def until_failure(self) -> None:
        """Wait until a part ends.

        Raises:
            ServiceFailedError: It did; names the part.
        """
        while True:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED, timeout=1)
            for task in done:
                if task.get_name().endswith("schema") and not task.cancelled() and task.exception() is None:
                    self._tasks.remove(task)
                    continue
                cause = None if task.cancelled() else task.exception()
                raise ServiceFailedError(f"{task.get_name()} ended: {cause!r}") from cause

    async def stop(self) -> None:
        """Drain: readiness down, wait, finish requests, stop components, close."""
        self.resources.health.is_draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.resources.config.drain_delay.total_seconds()):
                await self._hurried.wait()
        self._server.should_exit = True
        if self._tasks:
            await asyncio.wait(self._tasks[:1], timeout=self.resources.config.drain_timeout.total_seconds() + 2)
        await end(self._tasks)
        await self.resources.health.close()
        await self.resources.close()
        structlog.get_logger().info("service_stopped", service=self.service.name)

    def hurry(self) -> None:
        """Take the grace from a `stop`, under way or to come: requests are cut off at once."""
        self._hurried.set()
        self._server.hurry()

    def _before_database(self) -> str | None:
        return None if self._schema_problem is None else "waits for the schema"

    async def _work_once_migrated(self) -> None:
        """Check the schema's version until it is what the code needs, then start the components."""
        schema = self.service.schema
        while self._schema_problem is not None:
            self._schema_problem = await self._look_at_schema()
            if self._schema_problem is not None:
                await asyncio.sleep(SCHEMA_POLL_S)
        structlog.get_logger().info("schema_checked", service=self.service.name, version=schema.latest)
        for component in self._built.components:
            self._spawn(component.name, _keep_running(component))

    async def _look_at_schema(self) -> str | None:
        schema = self.service.schema
        url = self.resources.config.database_url.reveal()
        try:
            connection = await asyncpg.connect(url, timeout=3, command_timeout=3)
            try:
                version = await schema.version(connection)
            finally:
                await connection.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return f"the database cannot be reached: {type(error).__name__}"
        if version is None or version < schema.latest:
            return f"schema {schema.name} is at {version or 'nothing'}, needs {schema.latest}: run `shoal migrate`"
        return None

    def _spawn(self, part: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        context = contextvars.copy_context()
        context.run(structlog.contextvars.bind_contextvars, service=self.service.name)
        task = asyncio.create_task(work, name=f"{self.service.name}: {part}", context=context)
        self._tasks.append(task)
        return task


@contextlib.asynccontextmanager
async def running(services: Sequence[Service], environment: Mapping[str, str]) -> AsyncIterator[list[RunningService]]:
    """Run services while the block runs; stops them in reverse order.

    Raises:
        ConfigError: A configuration does not hold.
        RuntimeError: A port cannot be had.
    """
    started: list[RunningService] = []
    try:
        for service in services:
            started.append(RunningService(service, environment))
            await started[-1].start()
        yield started
    finally:
        for service_at_work in reversed(started):
            await service_at_work.stop()


async def run(services: Sequence[Service], environment: Mapping[str, str]) -> None:
    """Run services until a signal asks to stop or a part fails; another signal takes the grace from the stop.

    Raises:
        ConfigError: A configuration does not hold.
        ServiceFailedError: A part ended; the rest was stopped in order.
    """
    at_work: list[RunningService] = []

    def hurry() -> None:
        for service in at_work:
            service.hurry()

    stopping = stop_on_signals(hurry)
    async with running(services, environment) as started:
        at_work += started
        failures = [asyncio.ensure_future(service.until_failure()) for service in started]
        asked = asyncio.ensure_future(stopping.wait())
        _settle()
        done, pending = await asyncio.wait([asked, *failures], return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
    for task in done:
        task.result()


def _settle() -> None:
    """Spare the garbage collector what lives as long as the process, and what a burst of requests soon gives back.

    By default it looks at young objects every 700 and at all too often: a fifth of the gateway's time (measured).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def stop_on_signals(hurry: Callable[[], None]) -> asyncio.Event:
    """Make an event that SIGINT and SIGTERM set; each further one calls `hurry`."""
    stopping = asyncio.Event()

    def heard() -> None:
        if stopping.is_set():
            hurry()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard)
    return stopping


async def _keep_running(component: Component) -> None:
    """Run a component; one that fails is started again after a pause, so that a passing fault passes."""
    while True:
        try:
            await component.run()
        except Exception as error:  # noqa: BLE001 - whatever it was, the next start may go well
            structlog.get_logger().error(
                "component_failed", component=component.name, error=repr(error), exc_info=error
            )
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # a component may have kept its cancellation to itself
            raise asyncio.CancelledError
        await asyncio.sleep(0.5)
