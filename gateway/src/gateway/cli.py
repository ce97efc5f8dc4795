"""`shoal account` and `shoal user`: what an operator does to the database itself, with nobody signed in.

The database is `GATEWAY_DATABASE_URL`, else `SHOAL_DATABASE_URL`, else that of the suite whose state is in `--state`.
Passwords are asked for, or read from `SHOAL_ADMIN_PASSWORD` or a pipe; never from the command line, where others
could see them.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from gateway.accounts.domain import NewUser, User
from gateway.accounts.errors import UserNotFoundError
from gateway.accounts.schemas import CreateAccount, CreateUser
from gateway.config import Config
from gateway.subjects import Subjects
from shoal.cli import ENVIRONMENT, STATE, beneath, fail
from shoal.clock import to_rfc3339
from shoal.config import ConfigError, check_public_url, load
from shoal.database import Database
from shoal.errors import AppError
from shoal.identity import Role, new_key_pair
from shoal.outbox import Bell, Outbox
from shoal.telemetry import Tracing
from shoal.wording import problem_in

T = TypeVar("T")

account = typer.Typer(name="account", help="Accounts of this installation.", no_args_is_help=True)
user = typer.Typer(name="user", help="Users of this installation.", no_args_is_help=True)

State = Annotated[Path, typer.Option(help="Where `shoal up` keeps the suite's state.")]


@account.command("add")
def add_account(
    name: Annotated[str, typer.Argument(help="What its people call it.")],
    admin: Annotated[str, typer.Option(help="The username of its first admin.")],
    email: Annotated[str | None, typer.Option(help="The admin's e-mail address.")] = None,
    state: State = STATE,
) -> None:
    """Make an account and its first admin; asks for the admin's password."""
    first = {"username": admin, "password": _password(), "email": email}
    checked = _valid(CreateAccount, name=name, admin=first)
    opened = _run(state, lambda on: on.accounts.add(checked.to_domain()))
    Console().print(
        f"account {opened.account.name} ({opened.account.id}), admin {opened.admin.username}", highlight=False
    )


@account.command("list")
def list_accounts(state: State = STATE) -> None:
    """List accounts."""
    table = _table("id", "name", "plan", "since")
    for one in _run(state, lambda on: on.accounts.list_all()):
        table.add_row(one.id, one.name, one.plan, to_rfc3339(one.created_at))
    Console().print(table)


@user.command("add")
def add_user(
    username: Annotated[str, typer.Argument(help="The name to sign in with.")],
    account_id: Annotated[
        str | None, typer.Option("--account", help="The account, by id or name; needed when there are several.")
    ] = None,
    role: Annotated[Role, typer.Option(help="What the user may do in the account.")] = Role.USER,
    email: Annotated[str | None, typer.Option(help="The e-mail address.")] = None,
    state: State = STATE,
) -> None:
    """Make a user; asks for the password."""
    checked = _valid(CreateUser, username=username, password=_password(), role=role, email=email)
    made = _run(state, lambda on: _add_user(on, checked.to_domain(), account_id))
    Console().print(f"user {made.username} ({made.id}), {made.role} of {made.account_id}", highlight=False)


@user.command("list")
def list_users(state: State = STATE) -> None:
    """List the users of every account."""
    table = _table("id", "username", "email", "role", "account", "since")
    for one in _run(state, _list_users):
        table.add_row(one.id, one.username, one.email, one.role, one.account_id, to_rfc3339(one.created_at))
    Console().print(table)


@user.command("passwd")
def set_password(username: str, state: State = STATE) -> None:
    """Give a user a new password; every login of the user ends."""
    password = _password()
    _run(state, lambda on: _reset(on, username, password))
    Console().print(f"{username} has a new password and is signed out everywhere", highlight=False)


@user.command("link")
def print_link(
    username: str,
    public_url: Annotated[str | None, typer.Option(help="Where browsers reach the gateway.")] = None,
    state: State = STATE,
) -> None:
    """Print a link that signs a user in, once, within ten minutes."""
    environment = _environment(state)
    if public_url is not None:
        _check_public_url(public_url)
    url = (
        public_url or environment.get("GATEWAY_PUBLIC_URL") or environment.get("SHOAL_PUBLIC_URL") or Config.public_url
    )
    Console().print(_run(state, lambda on: _link(on, username, url)), highlight=False, soft_wrap=True)


async def make_sign_in_link(database_url: str, *, public_url: str, username: str) -> str:
    """Make a link that signs a user in, once, within ten minutes.

    Args:
        database_url: PostgreSQL as the gateway's role.
        public_url: Where browsers reach the gateway.
        username: Whom it signs in.

    Raises:
        UserNotFoundError: Nobody has this name.
    """
    return await _on_database({"GATEWAY_DATABASE_URL": database_url}, lambda on: _link(on, username, public_url))


async def _link(on: Subjects, username: str, public_url: str) -> str:
    made = await on.sign_ins.make_link(await _find(on, username))
    return f"{public_url.rstrip('/')}/api/v1/auth/link/{made.code}"


async def _add_user(on: Subjects, new: NewUser, named: str | None) -> User:
    accounts = await on.accounts.list_all()
    meant = [one for one in accounts if named is None or named in {one.id, one.name}]
    if not meant:
        what = "there is no account yet" if named is None else f"no account has the id or the name {named}"
        fail(what, "`shoal account list` names them, `shoal account add` makes one")
    if len(meant) > 1:
        what = "there are several accounts" if named is None else f"several accounts are called {named}"
        fail(what, "name one with --account, by its id: `shoal account list`")
    return await on.users.create(new, account_id=meant[0].id)


async def _list_users(on: Subjects) -> list[User]:
    return [one for owner in await on.accounts.list_all() for one in await on.users.list_for(owner.id)]


async def _reset(on: Subjects, username: str, password: str) -> None:
    found = await _find(on, username)
    await on.password_changes.reset(found.id, password, account_id=found.account_id)


async def _find(on: Subjects, username: str) -> User:
    found = await on.users.find(username)
    if found is None:
        raise UserNotFoundError(f"nobody is called {username}; `shoal user list` names everybody")
    return found


def _run(state: Path, act: Callable[[Subjects], Awaitable[T]]) -> T:
    try:
        return asyncio.run(_on_database(_environment(state), act))
    except ConfigError as error:
        if not (state / ENVIRONMENT).exists():
            fail(
                f"there is no suite in {state.resolve()}, and GATEWAY_DATABASE_URL is not set",
                "name the folder of `shoal up` with --state",
            )
        fail("the configuration does not hold", "`shoal check gateway` explains it", problems=error.problems)
    except AppError as error:
        fail(error.message, "nothing was changed")


async def _on_database(environment: Mapping[str, str], act: Callable[[Subjects], Awaitable[T]]) -> T:
    """Do something to the database; facts wait in the outbox until the gateway runs."""
    private_key, _ = new_key_pair()
    unused = {
        "GATEWAY_NATS_URL": "nats://127.0.0.1:1",
        "GATEWAY_IDENTITY_KEY": private_key,
        "GATEWAY_IDENTITY_KEYS": "{}",
    }
    config = load(Config, "GATEWAY", unused | dict(environment))
    database = Database(config.database_url.reveal(), schema="gateway", pool_size=2)
    try:
        outbox = Outbox(bell=Bell("gateway_outbox"), tracing=Tracing("gateway", environment={}))
        return await act(Subjects(config=config, database=database, outbox=outbox))
    finally:
        await database.close()


def _environment(state: Path) -> dict[str, str]:
    """Read this process's variables, and beneath them those of the suite whose state is here."""
    environment = beneath(os.environ, state)
    if "SHOAL_DATABASE_URL" in os.environ and "GATEWAY_DATABASE_URL" not in os.environ:
        environment.pop("GATEWAY_DATABASE_URL", None)
    return environment


def _password() -> str:
    if given := os.environ.get("SHOAL_ADMIN_PASSWORD"):
        return given
    if not sys.stdin.isatty():
        if piped := sys.stdin.readline().rstrip("\n"):
            return piped
        fail("no password was given", "set SHOAL_ADMIN_PASSWORD, pipe one line, or run this on a terminal")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _check_public_url(text: str) -> None:
    try:
        check_public_url(text)
    except ValueError as error:
        raise typer.BadParameter(f"--public-url: {error}") from None


def _table(*headers: str) -> Table:
    """Make a table whose texts are wrapped where there is no room, never cut: they are to be copied."""
    first, *others = headers
    return Table(Column(first, no_wrap=True), *(Column(header, overflow="fold") for header in others))


def _valid(shape: type[T], **fields: object) -> T:
    try:
        return msgspec.convert(fields, shape)
    except msgspec.ValidationError as error:
        fail(problem_in(error).sentence, "nothing was changed")
