"""The whole suite on one machine: servers, schemas, services; what `shoal up` and the end-to-end tests stand on."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import asyncpg
import httpx
import msgspec

from shoal.config import check_nats_url, check_postgres_url, look_up
from shoal.installation import Installation
from shoal.runtime import RunningService, ServiceFailedError
from shoal.service import Service, installed
from shoal.tasks import end
from shoal.telemetry import configure_logging, log_as_told
from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.nats_users import ADMIN, CONSUMER, COPIER, USERS, service_users
from shoal_embedded.ports import LOOPBACK, ensure_free, hold_port
from shoal_embedded.postgres import EmbeddedPostgres
from shoal_embedded.processes import ServerError
from shoal_embedded.servers import EmbeddedServer
from shoal_embedded.services import ServiceProcess
from shoal_embedded.supervision import Say, ending, keep_running
from shoal_embedded.system_users import close_to_others
from shoal_operations.readers import ensure_copy

PASSWORDS = (ADMIN, CONSUMER, COPIER)
USERS_OF_SERVICES = tuple(name for name in USERS if name not in PASSWORDS)
"""The seven services, installed here or not: the credentials of one that comes later are there already."""
READY_S = 60.0
_UNSET = "mend it, or unset it to use the server that comes with Shoal"
POLL_S = 0.02

Tell = Callable[[str], None]


class LocalSuite:
    """Every installed service with its servers, on loopback.

    Args:
        state: Where everything is kept: data, credentials, logs.
        host: The address that the gateway listens on.
        port: The port that the gateway listens on.
        in_processes: One process per service rather than one for all.
        given: Environment variables; `SHOAL_DATABASE_URL` and `SHOAL_NATS_URL` stand for servers of one's own.
        tell: Hears what is being done, in a few words.
        say: Hears what went wrong meanwhile, and what comes of it.
    """

    def __init__(
        self,
        state: Path,
        *,
        host: str = LOOPBACK,
        port: int = 8080,
        in_processes: bool = False,
        given: Mapping[str, str] = os.environ,
        tell: Tell = lambda _: None,
        say: Say = lambda *_: None,
    ) -> None:
        self.state = state.resolve()
        self.host = host
        self.port = port
        self.services: dict[str, Service] = dict(installed())
        self.processes: dict[str, ServiceProcess] = {}
        self.postgres: EmbeddedPostgres | None = None
        self.nats: EmbeddedNats | None = None
        self.environment: dict[str, str] = {}
        self._in_processes = in_processes
        self._given = dict(given)
        self._tell = tell
        self._say = say
        self._running: list[RunningService] = []
        self._held_ports: dict[str, socket.socket] = {}

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        host = LOOPBACK if self.host in {"0.0.0.0", "::"} else self.host
        return f"http://{host}:{self.port}"

    @property
    def public_url(self) -> str:
        """Where browsers come in: as the gateway was told, by default the same."""
        told = look_up(("GATEWAY_PUBLIC_URL", "SHOAL_PUBLIC_URL"), self._given | self.environment)
        return (told or self.url).rstrip("/")

    @property
    def logs(self) -> Path:
        """Where logs are."""
        return self.state / "logs"

    def make_folders(self) -> None:
        """Make the folders, and an empty cookie jar, which curl keeps as private as it finds it.

        A state folder that holds other things too, such as /tmp, keeps its mode.
        """
        is_ours = not self.state.exists() or not any(self.state.iterdir()) or self._installation.exists()
        self.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_ours:
            close_to_others(self.state, self.state / "postgres")
        self.jar.touch(mode=0o600)
        self.jar.chmod(0o600)

    @property
    def jar(self) -> Path:
        """The cookie jar of the lines that an operator pastes."""
        return self.state / "cookies"

    async def start(self) -> None:
        """Start servers, migrate, start services; returns when every one of them is ready.

        Raises:
            ServerError: A part did not start; names it and its log.
            MigrationError: A schema could not be brought up to date.
        """
        self._check_given()
        ensure_free(self.host, self.port)
        self.make_folders()
        installation = Installation.open(self._installation, list(USERS_OF_SERVICES), passwords=PASSWORDS)
        database_url, nats_url = await self._start_servers(installation)
        self._write_environment(installation, database_url, nats_url)
        self._tell("bringing the schemas up to date")
        await asyncio.gather(*(self._migrate(service, database_url) for service in self.services.values()))
        self._tell("starting the services")
        for name in reversed(self.services):  # the gateway last: it opens when there is something behind it
            await self.start_service(name)
        await self.until_ready()
        if self.nats is not None:
            await ensure_copy(self.nats.url_for(COPIER))

    async def start_service(self, name: str) -> None:
        """Start one service (again)."""
        if name in self._held_ports:
            self._held_ports.pop(name).close()
        if self._in_processes:
            log = self.logs / f"{name}.log"
            self.processes[name] = ServiceProcess(name, environment=self._given | self.environment, log=log)
            await self.processes[name].start()
            return
        running = RunningService(self.services[name], self._given | self.environment)
        self._running.append(running)
        await running.start()

    async def until_ready(self, *, within_s: float = READY_S) -> None:
        """Wait until every service says that it can do its work.

        Raises:
            ServerError: One of them ended, or did not become ready in time; says what it waits for.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for name in self.services:
                while (problem := await self._problem_of(name, client)) is not None:
                    self._raise_if_ended()
                    if asyncio.get_running_loop().time() > deadline:
                        raise ServerError(name, f"is not ready: {problem}", log=self.log_of(name))
                    await asyncio.sleep(POLL_S)

    async def until_failure(self) -> None:
        """Keep everything running until a part is lost for good.

        A service in a process of its own is started again when it ends by itself; a server, or a part of this very
        process, is not.

        Raises:
            ServerError: It was; names the part and its log.
        """
        watches: list[asyncio.Future[None]] = [
            *(asyncio.ensure_future(keep_running(process, self._say)) for process in self.processes.values()),
            *(asyncio.ensure_future(self._until_failed(service)) for service in self._running),
            *(asyncio.ensure_future(_until_lost(server)) for server in (self.postgres, self.nats) if server),
        ]
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(watches)
        for watch in done:
            watch.result()

    async def stop(self) -> None:
        """Stop everything in order: services from the front to the back, then NATS, then PostgreSQL."""
        for running in reversed(self._running):
            await running.stop()
        self._running.clear()
        while self._held_ports:
            self._held_ports.popitem()[1].close()
        for process in reversed(self.processes.values()):
            await process.stop()
        for server in (self.nats, self.postgres):
            if server is not None:
                await server.stop()

    def hurry(self) -> None:
        """Take the grace from a `stop`, under way or to come; the servers still end in order, after the services."""
        for hurry in (*(one.hurry for one in self._running), *(one.hurry for one in self.processes.values())):
            hurry()

    def log_of(self, name: str) -> Path:
        """Tell where a service's log is."""
        return self.logs / (f"{name}.log" if self._in_processes else "shoal.log")

    @property
    def _installation(self) -> Path:
        return self.state / "installation.json"

    async def _start_servers(self, installation: Installation) -> tuple[str, Callable[[str], str]]:
        database_url = self._given.get("SHOAL_DATABASE_URL")
        if not database_url:
            self._tell("starting PostgreSQL")
            self.postgres = EmbeddedPostgres(self.state / "postgres")
            await self.postgres.start()
            database_url = self.postgres.url
        if given_nats := self._given.get("SHOAL_NATS_URL"):
            return database_url, lambda _: given_nats
        self._tell("starting NATS")
        passwords = {name: one.nats_password for name, one in installation.services.items()} | installation.passwords
        self.nats = EmbeddedNats(self.state / "nats", users=service_users(passwords))
        await self.nats.start()
        return database_url, self.nats.url_for

    def _write_environment(self, installation: Installation, database_url: str, nats_url: Callable[[str], str]) -> None:
        self._held_ports = {name: hold_port() for name in self.services if name != "gateway"}
        addresses = {name: f"{LOOPBACK}:{held.getsockname()[1]}" for name, held in self._held_ports.items()}
        addresses["gateway"] = f"{LOOPBACK}:{self.port}"
        made = installation.environment(admin_url=database_url, nats_url=nats_url, addresses=addresses)
        made |= {"SHOAL_DATABASE_URL": database_url, "GATEWAY_HOST": self.host, "SHOAL_STATE": str(self.state)}
        made.setdefault("SHOAL_PUBLIC_URL", self.url)
        if not self._in_processes:
            made.setdefault("SHOAL_DATABASE_POOL", "5")
        self.environment = {name: value for name, value in made.items() if not _is_set(name, self._given)}
        file = self.state / "environment.json"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            output.write(msgspec.json.format(msgspec.json.encode(self.environment), indent=2))

    def _check_given(self) -> None:
        """Refuse variables that cannot mean here what they say."""
        for service in self.services.values():
            if (name := f"{service.prefix}_PORT") in self._given:
                cure = f"unset {name}; the gateway's port is given by --port, the others find theirs"
                raise ServerError(name, "has no meaning here", cure=cure)
        for name, check in (("SHOAL_DATABASE_URL", check_postgres_url), ("SHOAL_NATS_URL", check_nats_url)):
            try:
                if given := self._given.get(name):
                    check(given)
            except ValueError as error:
                raise ServerError(name, str(error), cure=_UNSET) from error

    async def _migrate(self, service: Service, admin_url: str) -> None:
        try:
            await service.schema.migrate(admin_url, working_url=self.environment[f"{service.prefix}_DATABASE_URL"])
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if self.postgres is not None:
                raise
            told = f"cannot be used: {str(error) or type(error).__name__}"
            raise ServerError("SHOAL_DATABASE_URL", told, cure=_UNSET) from error

    async def _problem_of(self, name: str, client: httpx.AsyncClient) -> str | None:
        port = self.environment[f"{self.services[name].prefix}_PORT"]
        try:
            answer = (await client.get(f"http://{LOOPBACK}:{port}/readyz")).json()
        except (httpx.HTTPError, ValueError) as error:
            return f"does not answer: {type(error).__name__}"
        wrong = {check: said for check, said in answer["checks"].items() if said != "ok"}
        return "; ".join(f"{check}: {said}" for check, said in wrong.items()) or None

    async def _until_failed(self, service: RunningService) -> None:
        try:
            await service.until_failure()
        except ServiceFailedError as error:
            raise ServerError(service.service.name, str(error), log=self.log_of(service.service.name)) from error

    def _raise_if_ended(self) -> None:
        for process in self.processes.values():
            process.raise_if_ended()


def _is_set(name: str, given: Mapping[str, str]) -> bool:
    """Whether the operator set this variable: what is given stands over what is made."""
    return name in given and name != "SHOAL_DATABASE_URL"


async def _until_lost(server: EmbeddedServer) -> None:
    raise ServerError.from_log(server.part, ending(await server.wait()), server.log)


@contextlib.contextmanager
def redirect_output(log: Path) -> Iterator[None]:
    """Send the process's log lines to a file while the screen shows something friendlier."""
    with log.open("a", buffering=1) as file:
        log_as_told(os.environ, stream=file)
        try:
            yield
        finally:
            configure_logging("warning", stream=sys.stderr)
