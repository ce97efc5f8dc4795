"""What an operator does to the database itself."""

import asyncio
from pathlib import Path

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from gateway.cli import account, user
from shoal.testing.suite import Suite, eventually
from shoal_events import LoginEnded, UserCreated


@pytest.fixture
def run(suite: Suite, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GATEWAY_DATABASE_URL", suite.environment()["GATEWAY_DATABASE_URL"])
    monkeypatch.delenv("SHOAL_ADMIN_PASSWORD", raising=False)

    async def act(app, *words: str, password: str | None = None, code: int = 0) -> str:
        given = None if password is None else f"{password}\n"
        result = await asyncio.to_thread(CliRunner().invoke, app, words, input=given)
        assert result.exit_code == code, result.output
        return result.output

    return act


async def test_operator_makes_accounts_and_users_before_anybody_signed_in(run, outside, suite: Suite) -> None:
    await run(account, "add", "Home", "--admin", "root", password=outside.password)
    await run(user, "add", "bob", "--role", "user", password=outside.password)
    assert "Home" in await run(account, "list")
    assert "bob" in await run(user, "list")
    client = outside.visitor()
    assert (await outside.sign_in(client, "root")).status_code == 200
    assert (await client.get("/api/v1/accounts")).json()["total"] == 1
    assert {event.username for event in await suite.events(UserCreated, count=2)} == {"root", "bob"}
    await run(account, "add", "Away", "--admin", "other", password=outside.password)
    assert "--account" in await run(user, "add", "eve", password=outside.password, code=1)


async def test_operator_names_an_account_by_name_or_id(run, outside) -> None:
    for name in ("Home", "Away"):
        await run(account, "add", name, "--admin", name.lower(), password=outside.password)
    told = await run(user, "add", "bob", "--account", "Away", password=outside.password)
    assert told.split(" of ")[1].strip() in told
    account_id = told.split(" of ")[1].strip()
    assert account_id in await run(user, "add", "eve", "--account", account_id, password=outside.password)
    assert "no account has" in await run(user, "add", "x", "--account", "Nowhere", password=outside.password, code=1)


async def test_operator_is_told_what_is_missing(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "no password was given" in await run(account, "add", "Home", "--admin", "root", code=1)
    monkeypatch.delenv("GATEWAY_DATABASE_URL")
    assert "--state" in await run(account, "list", "--state", str(tmp_path), code=1)


async def test_operator_gives_a_new_password_and_ends_logins(
    run, outside, admin: httpx.AsyncClient, suite: Suite
) -> None:
    await run(user, "passwd", "admin", password="entirely different")
    assert (await suite.events(LoginEnded))[0].reason == "password_reset"

    async def is_signed_out() -> bool:
        return (await admin.get("/api/v1/auth/me")).status_code == 401

    await eventually(is_signed_out)
    assert (await outside.sign_in(outside.visitor(), "admin", "entirely different")).status_code == 200


async def test_operator_prints_a_link(run, outside, admin: httpx.AsyncClient) -> None:
    link = (await run(user, "link", "admin", "--public-url", outside.gateway.url)).strip()
    assert (await outside.visitor().get(link)).status_code == 303
    assert "nobody is called ghost; `shoal user list`" in await run(user, "link", "ghost", code=1)


async def test_refusals_are_told_in_words(run, outside, admin: httpx.AsyncClient) -> None:
    assert "Username already exists" in await run(user, "add", "Admin", password=outside.password, code=1)
    assert "at least 8" in await run(user, "add", "bob", password="short", code=1)
    told = await run(user, "add", "not a name", password=outside.password, code=1)
    assert "username: Must match ^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$" in told
    assert "name: Expected" in await run(account, "add", "", "--admin", "zed", password=outside.password, code=1)
    assert "http://host:port" in await run(user, "link", "admin", "--public-url", "nowhere", code=2)


async def test_ids_are_never_cut(run, admin: httpx.AsyncClient) -> None:
    me = (await admin.get("/api/v1/auth/me")).json()
    assert me["account"]["id"] in await run(account, "list")
    users = await run(user, "list")
    assert me["id"] in users
    assert "…" not in users


async def test_database_is_found_in_the_suites_state(
    run, suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, admin
) -> None:
    monkeypatch.delenv("GATEWAY_DATABASE_URL")
    (tmp_path / "environment.json").write_bytes(msgspec.json.encode(suite.environment()))
    assert "admin" in await run(user, "list", "--state", str(tmp_path))
    assert "GATEWAY_DATABASE_URL" in await run(user, "list", "--state", str(tmp_path / "nowhere"), code=1)
