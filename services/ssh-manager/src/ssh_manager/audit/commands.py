"""`shoal audit`: what an operator does with the audit log itself, with nobody signed in.

The database is `SSH_MANAGER_DATABASE_URL`, else `SHOAL_DATABASE_URL`, else that of the suite whose state is in
`--state`; the key is `SSH_MANAGER_ENCRYPTION_KEY`, else the one kept there.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from shoal.cli import STATE, beneath, fail
from shoal.config import ConfigError, load
from shoal.crypto import EnvelopeError
from shoal.database import Database
from shoal.errors import AppError
from shoal.identity import new_key_pair
from ssh_manager.audit.usecases.log import AuditLog
from ssh_manager.audit.usecases.verification import verify
from ssh_manager.config import Config
from ssh_manager.vault import open_vault

T = TypeVar("T")

State = Annotated[Path, typer.Option(help="Where `shoal up` keeps the suite's state.")]

audit = typer.Typer(name="audit", help="The audit log of ways into instances.", no_args_is_help=True)


@audit.command("verify")
def verify_audit(
    account: Annotated[str | None, typer.Option(help="Check this account's log only.")] = None,
    anchor: Annotated[
        list[str] | None, typer.Option(help="`<id>:<hash>` that the service's log told as `audit_anchor`.")
    ] = None,
    state: State = STATE,
) -> None:
    """Prove that nobody changed, removed, added or reordered entries; ends with 1 if somebody did."""
    anchors = _anchors(anchor or [])
    if anchors and account is None:
        fail("an anchor belongs to one account", "name it with --account")
    verdicts = _run(state, lambda database, log: verify(database, log.seal, account_id=account, anchors=anchors))
    table = Table("account", "entries", "last hash", "verdict")
    for one in verdicts:
        verdict = f"entry {one.bad_id}: {one.problem}" if one.problem else "unchanged"
        table.add_row(one.account_id, f"{one.first_id} to {one.last_id}", one.last_hash[:16], verdict)
    Console().print(table)
    if any(one.problem for one in verdicts):
        raise typer.Exit(1)


@audit.command("accept")
def accept_audit(
    account: Annotated[str, typer.Argument(help="Whose log was tampered with.")], state: State = STATE
) -> None:
    """Let a log be written again that was tampered with: what stands in it stays, and is still found by `verify`.

    Until then nothing is tested, reconnected or rotated in the account. Keep a copy of the tables first.
    """
    last_id = _run(state, lambda _, log: log.accept(account))
    Console().print(f"the log of {account} goes on after entry {last_id}", highlight=False)


def _run(state: Path, act: Callable[[Database, AuditLog], Awaitable[T]]) -> T:
    try:
        return asyncio.run(_on_log(_environment(state), act))
    except ConfigError as error:
        fail("the configuration does not hold", "`shoal check ssh-manager` explains it", problems=error.problems)
    except EnvelopeError:
        fail("the key does not open the audit log's own", "give SSH_MANAGER_ENCRYPTION_KEY, or the suite's --state")
    except AppError as error:
        fail(error.message, "nothing was done")


async def _on_log(environment: Mapping[str, str], act: Callable[[Database, AuditLog], Awaitable[T]]) -> T:
    private_key, _ = new_key_pair()
    unused = {
        "SSH_MANAGER_NATS_URL": "nats://127.0.0.1:1",
        "SSH_MANAGER_IDENTITY_KEY": private_key,
        "SSH_MANAGER_IDENTITY_KEYS": "{}",
    }
    config = load(Config, "SSH_MANAGER", unused | dict(environment))
    database = Database(config.database_url.reveal(), schema="ssh_manager", pool_size=2)
    try:
        log = AuditLog(database=database, envelope=open_vault(config), retention_days=config.audit_retention_days)
        await log.open()
        return await act(database, log)
    finally:
        await database.close()


def _environment(state: Path) -> dict[str, str]:
    """Read this process's variables, and beneath them those of the suite whose state is here."""
    environment = beneath(os.environ, state)
    if "SHOAL_DATABASE_URL" in os.environ and "SSH_MANAGER_DATABASE_URL" not in os.environ:
        environment.pop("SSH_MANAGER_DATABASE_URL", None)
    return environment


def _anchors(texts: list[str]) -> dict[int, str]:
    parted = [text.partition(":") for text in texts]
    if not all(number.isdigit() for number, _, _ in parted):
        fail("an anchor cannot be read", "write it as <id>:<hash>")
    return {int(number): told for number, _, told in parted}
