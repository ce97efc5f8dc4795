"""The commands that `shoal` gains."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import asyncpg
import typer
from nats.errors import Error as NatsError
from rich.console import Console
from rich.table import Table

from shoal.cli import STATE, beneath, fail
from shoal.config import check_nats_url, check_postgres_url, look_up, parse_duration
from shoal.installation import Installation
from shoal.reasons import reason
from shoal_operations.backups import restore_backup, take_backup
from shoal_operations.credentials import as_user, write_credentials
from shoal_operations.errors import MEND, OperationError
from shoal_operations.letters import letters, replay as send_again
from shoal_operations.readers import ensure_copy
from shoal_operations.servers import sign_in

AGAIN_S = 2.0
T = TypeVar("T")
Folder = Annotated[Path, typer.Argument(help="The folder of the backup.", metavar="DIR")]
Programs = Annotated[
    Path | None,
    typer.Option(
        help="The folder of pg_dump and pg_restore; by default those that fit the server, on the path or of `shoal up`."
    ),
]


def credentials(
    folder: Annotated[Path, typer.Argument(help="Where to write them.", metavar="DIR")],
    database: Annotated[str, typer.Option(help="PostgreSQL as the role that migrates: postgresql://role@host/name.")],
    nats_address: Annotated[str, typer.Option("--nats", help="NATS: nats://host:port.")],
    renew: Annotated[str, typer.Option(help="Services, separated by commas, that get new passwords and keys.")] = "",
) -> None:
    """Make everything that services sign in and sign with, as a folder of files for each Secret.

    What is there stays. `kubectl create secret generic shoal-gateway --from-file=DIR/gateway` makes a Secret of one.
    """
    for option, address, check in (
        ("--database", database, check_postgres_url),
        ("--nats", nats_address, check_nats_url),
    ):
        try:
            check(address)
        except ValueError as error:
            fail(f"{option} {error}", "give the address by which services will come")
    try:
        write_credentials(folder, database_url=database, nats_url=nats_address, renew=renew.split(",") if renew else ())
    except KeyError as error:
        fail(f"there is no service {error}", "`shoal list` names them")
    except OSError as error:
        fail(f"the credentials cannot be written: {reason(error)}", "name a folder that you may write to")
    typer.echo(f"credentials are in {folder}")


def readers(
    wait: Annotated[str, typer.Option(help="For how long to try, such as 5m.")] = "0s",
) -> None:
    """Keep the copy of EVENTS that outsiders read; signs in to NATS as SHOAL_NATS_URL, the user `copier`."""
    url = _url("SHOAL_NATS_URL", user="copier")
    try:
        within_s = parse_duration(wait).total_seconds()
    except ValueError as error:
        fail(f"--wait {error}", "write a number and a unit: 30s, 5m")
    _run(lambda: ensure_copy(url), within_s=within_s)
    typer.echo("the readers' copy is there")


def backup(
    folder: Folder,
    programs: Programs = None,
    *,
    database: Annotated[bool, typer.Option(help="Save PostgreSQL too; else do that after this.")] = True,
) -> None:
    """Save streams and PostgreSQL while everything runs; nothing that was acknowledged before is missing.

    A backup that DIR holds stays until the new one is complete, then that takes its place. Where SHOAL_NATS_URL and
    SHOAL_DATABASE_URL are not set, the suite that `shoal up` runs here is saved.
    """
    nats_url = _url("SHOAL_NATS_URL")
    database_url = _url("SHOAL_DATABASE_URL") if database else None
    done = _run(lambda: take_backup(folder, nats_url=nats_url, database_url=database_url, programs=programs))
    held = ", ".join(f"{name} {count:,}" for name, count in done.messages.items())
    typer.echo(f"saved in {(done.ended_at - done.began_at).total_seconds():.1f} s; messages: {held}")


def restore(
    folder: Folder,
    programs: Programs = None,
    *,
    database: Annotated[bool, typer.Option(help="Put PostgreSQL back too; else that is done already.")] = True,
) -> None:
    """Put a backup into empty servers, migrated once, before services start."""
    nats_url, url = _url("SHOAL_NATS_URL"), _url("SHOAL_DATABASE_URL")
    done = _run(
        lambda: restore_backup(
            folder, nats_url=nats_url, database_url=url, programs=programs, has_database=not database
        )
    )
    typer.echo(f"restored what was acknowledged before {done.began_at.isoformat()}")


def dead(
    replay: Annotated[str, typer.Option(help="Send again: a sequence number, or `all`.", metavar="WHICH")] = "",
) -> None:
    """List dead letters, or send them again once the cause is mended."""
    url = _url("SHOAL_NATS_URL")
    if replay:
        if replay != "all" and not replay.isdecimal():
            fail(f"--replay {replay} names no letter", "`shoal dead` lists their sequence numbers; or say `all`")
        chosen = None if replay == "all" else [int(replay)]
        typer.echo(f"{_run(lambda: _replay(url, chosen))} sent again")
        return
    _run(lambda: _list(url))


async def _replay(url: str, chosen: list[int] | None) -> int:
    client = await sign_in(url)
    try:
        return await send_again(client, chosen)
    finally:
        await client.close()


async def _list(url: str) -> None:
    table = Table("sequence", "died", "consumer", "subject", "reason")
    client = await sign_in(url)
    try:
        async for one in letters(client):
            died = one.died_at.isoformat(timespec="seconds") if one.died_at else ""
            table.add_row(str(one.sequence), died, one.consumer, one.subject, one.reason)
    finally:
        await client.close()
    Console().print(table)


def _run(work: Callable[[], Awaitable[T]], *, within_s: float = 0) -> T:
    """Do something, again and again until it succeeds or time is up."""
    until = time.monotonic() + within_s

    async def once() -> T:
        return await work()

    while True:
        try:
            return asyncio.run(once())
        except (OperationError, NatsError, OSError, TimeoutError, asyncpg.PostgresError) as error:
            if time.monotonic() > until:
                fail(reason(error), error.cure if isinstance(error, OperationError) else MEND)
        time.sleep(AGAIN_S)


def _url(name: str, user: str = "admin") -> str:
    """Find an address: what is set, else that of the suite which `shoal up` runs here."""
    try:
        given = beneath(os.environ, STATE)
        found = look_up([name], given) or _of_suite(given.get("GATEWAY_NATS_URL", ""), user)
    except OSError as error:
        fail(f"{name}: {reason(error)}", "give an address, or the path of a file that holds it as <name>_FILE")
    if not found:
        fail(f"{name} is not set", "give an address, or run this where `shoal up` keeps its state")
    return found


def _of_suite(of_gateway: str, user: str) -> str:
    file = STATE / "installation.json"
    if not of_gateway or not file.exists():
        return ""
    return as_user(of_gateway, user, Installation.open(file, []).passwords[user])
