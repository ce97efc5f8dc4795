"""The `shoal` command: what every installation has; other distributions add commands of their own."""

import asyncio
import importlib.metadata
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import asyncpg
import msgspec
import structlog
import typer
import uvloop
from nats.aio.client import Client
from nats.errors import Error as NatsError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from shoal.config import (
    ConfigError,
    ServiceConfig,
    check_postgres_url,
    explain,
    load,
    look_up,
    names_of,
    parse_duration,
)
from shoal.describe import describe, try_settings
from shoal.messaging import trust
from shoal.reasons import reason
from shoal.runtime import ServiceFailedError, run as run_services
from shoal.schema import MigrationError
from shoal.service import Service, installed
from shoal.telemetry import log_as_told
from shoal.variables import unknown

COMMANDS = "shoal.commands"
STATE = Path(".shoal")
"""Where `shoal up` keeps the suite's state, unless told otherwise."""
ENVIRONMENT = "environment.json"
_UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Commands(TyperGroup):
    """Our commands, and those of other distributions, each loaded when it is asked for: no service waits for it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name every command, ours first."""
        return [*super().list_commands(ctx), *sorted(importlib.metadata.entry_points(group=COMMANDS).names)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find a command by its name."""
        added = importlib.metadata.entry_points(group=COMMANDS, name=cmd_name)
        return super().get_command(ctx, cmd_name) or next(map(_loaded, added), None)


app = typer.Typer(
    name="shoal",
    cls=Commands,
    help="The control plane for fleets of AI agents: pair them, watch them, talk to them, run them, reach them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Names = Annotated[list[str], typer.Argument(help="Services by name, or `all`. `shoal list` names them.")]


@app.command()
def run(names: Names) -> None:
    """Run services in this process until Ctrl-C or SIGTERM.

    Each service keeps its own port, pool and NATS connection, so one process or seven makes no difference to
    anybody outside. Configuration comes from the environment: `shoal check` explains it.
    """
    services = _chosen(names)
    log_as_told(os.environ)
    if strange := unknown_variables(services, os.environ):
        structlog.get_logger().warning("variables_of_no_setting", variables=strange)
    try:
        uvloop.run(run_services(services, os.environ))
    except ConfigError as error:
        fail("the configuration does not hold", "`shoal check` explains every variable", problems=error.problems)
    except (ServiceFailedError, RuntimeError) as error:
        fail(str(error), "the log above tells what led to it")


@app.command()
def migrate(
    names: Names,
    wait: Annotated[str, typer.Option(help="For how long to wait for the database to answer, such as 5m.")] = "0s",
) -> None:
    """Bring the database up to date: roles, schemas, and every numbered step that has not run.

    Signs in as SHOAL_DATABASE_URL, which must be allowed to create roles and schemas; safe to run from several
    places at once. The password of each working role is taken from the service's own <SERVICE>_DATABASE_URL.
    """
    services = _chosen(names)
    admin = _database_url("SHOAL_DATABASE_URL")
    if not admin:
        fail("SHOAL_DATABASE_URL is not set", "give a role that may create roles and schemas")
    for service in services:
        working = _database_url(f"{service.prefix}_DATABASE_URL") or admin
        try:
            asyncio.run(_until_reachable(admin, within_s=_seconds(wait)))
            asyncio.run(service.schema.migrate(admin, working_url=working))
        except (MigrationError, *_UNREACHABLE) as error:
            fail(f"{service.name}: {reason(error)}", "nothing of the failed step remains; mend it and run this again")
        typer.echo(f"{service.name}: schema {service.schema.name} is at {service.schema.latest}")


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Services by name; without any, all of them.")] = None,
    state: Annotated[Path, typer.Option(help="Where `shoal up` keeps the suite's state.")] = STATE,
) -> None:
    """Explain the settings of services, and say what is wrong with them and what cannot be reached.

    Looks at the variables of this shell, and beneath them at those that `shoal up` made for the suite whose state is
    here. Variables that a running suite was given by another shell, a container or a chart are not seen: run it there.
    """
    problems: list[str] = []
    environment, services = beneath(os.environ, state), _chosen(names or ["all"])
    for service in services:
        typer.echo(f"# {service.name}")
        for name, source, value in explain(service.config, service.prefix, environment):
            origin = source if source in {"default", "required"} else f"from {source}{_place(source, state)}"
            typer.echo(f"{name}={value} ({origin})".replace("\n", "\\n"))
        typer.echo("")
        problems += asyncio.run(_problems_of(service, environment))
    if strange := unknown_variables(services, environment):
        typer.echo(f"No setting has these names, which may be misspelt: {', '.join(strange)}")
    if problems:
        cure = "set what is missing, start what is not there"
        has_suite = (state / ENVIRONMENT).exists()
        fail(
            "this will not run yet",
            cure if has_suite else f"{cure}, or name a suite's folder with --state",
            problems=problems,
        )
    typer.echo("All of it holds.")


@app.command(name="list")
def list_services() -> None:
    """List the services that are installed here."""
    table = Table("service", "port", "about")
    for service in installed().values():
        table.add_row(service.name, str(service.port), escape(service.about))
    Console().print(table)


@app.command()
def openapi(name: Annotated[str, typer.Argument(help="The service to describe.")]) -> None:
    """Print a service's OpenAPI document."""
    sys.stdout.buffer.write(describe(_chosen([name])[0]))


def beneath(given: Mapping[str, str], state: Path) -> dict[str, str]:
    """Read given variables, and beneath them those of the suite whose state is in a folder, if there is one."""
    file = state / ENVIRONMENT
    of_suite = msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file.exists() else {}
    return of_suite | dict(given)


def unknown_variables(services: Sequence[Service], environment: Mapping[str, str]) -> list[str]:
    """Name the variables that begin like settings of these services, and that no setting has."""
    known = {name for service in services for name in names_of(service.config, service.prefix)}
    return unknown(environment, known, prefixes=[service.prefix for service in services])


def fail(what: str, cure: str, *, problems: Sequence[str] = ()) -> NoReturn:
    """Say what is wrong and what would cure it, and end with 1."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]shoal:[/] {escape(what)}")
    for problem in problems:
        console.print(f"  • {escape(problem)}")
    console.print(f"  → {escape(cure)}")
    raise typer.Exit(1)


def main() -> None:
    """Run the command."""
    app()


def _loaded(point: importlib.metadata.EntryPoint) -> Any:
    """Load a command: a function, or a Typer of several."""
    command, alone = point.load(), typer.Typer()
    if isinstance(command, typer.Typer):
        alone.add_typer(command, name=point.name)
    else:
        alone.command(point.name)(command)
    return typer.main.get_group(alone).commands[point.name]


def _chosen(names: Sequence[str]) -> list[Service]:
    if "all" in names:
        return list(installed().values())
    found = installed(names)
    unknown = [name for name in names if name not in found]
    if unknown:
        fail(f"no service is called {', '.join(unknown)}", f"choose from: {', '.join(installed())}, all")
    return [found[name] for name in names]


def _place(source: str, state: Path) -> str:
    """Say where a variable stands that this shell has not."""
    return "" if source in os.environ or f"{source}_FILE" in os.environ else f" in {state / ENVIRONMENT}"


async def _problems_of(service: Service, environment: Mapping[str, str]) -> list[str]:
    refused = await asyncio.to_thread(try_settings, service, environment)
    try:
        config = load(service.config, service.prefix, environment)
    except ConfigError as error:
        others = [problem for problem in refused if problem not in error.problems]
        return [f"{service.name}: {problem}" for problem in (*error.problems, *others)]
    found = [*refused, await _problem_of_database(service, config), await _problem_of_nats(config)]
    return [f"{service.name}: {problem}" for problem in found if problem is not None]


async def _problem_of_database(service: Service, config: ServiceConfig) -> str | None:
    try:
        connection = await asyncpg.connect(config.database_url.reveal(), timeout=3, command_timeout=3)
        try:
            version = await service.schema.version(connection)
        finally:
            await connection.close(timeout=1)
    except _UNREACHABLE as error:
        return f"the database cannot be reached: {reason(error)}"
    if version is None or version < service.schema.latest:
        return f"schema is at {version or 'nothing'}, needs {service.schema.latest}: `shoal migrate {service.name}`"
    return None


async def _problem_of_nats(config: ServiceConfig) -> str | None:
    told: list[Exception] = []

    async def note(error: Exception) -> None:
        told.append(error)

    client = Client()
    try:
        async with asyncio.timeout(3):  # nats-py goes on trying a server that refuses, whatever it is told
            await client.connect(
                config.nats_url.reveal(), tls=trust(config.nats_ca), allow_reconnect=False, error_cb=note
            )
        await client.close()
    except (OSError, NatsError, TimeoutError) as error:
        return f"NATS cannot be reached: {reason(told[-1] if told else error)}"
    return None


async def _until_reachable(url: str, *, within_s: float) -> None:
    """Wait until somebody answers there, or time is up; what is wrong then, the migration itself will say."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            await (await asyncpg.connect(url, timeout=3)).close(timeout=1)
        except _UNREACHABLE:
            await asyncio.sleep(0.5)
        else:
            return


def _seconds(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        fail(str(error), "write a number and a unit: 30s, 5m")


def _database_url(name: str) -> str | None:
    try:
        found = look_up([name], os.environ)
        if found is not None:
            check_postgres_url(found)
    except (OSError, ValueError) as error:
        fail(f"{name}: {reason(error)}", "give an address, or the path of a file that holds it as <name>_FILE")
    return found
