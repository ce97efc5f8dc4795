"""`shoal up`: the whole suite on this machine, with one command."""

import asyncio
import contextlib
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from gateway.cli import make_sign_in_link
from gateway.config import SHORTEST_PASSWORD
from gateway.errors import PasswordRefusedError
from gateway.passwords import check_length
from shoal.cli import fail, unknown_variables
from shoal.config import ConfigError
from shoal.runtime import stop_on_signals
from shoal.schema import MigrationError
from shoal.tasks import end
from shoal_agent.agent import Agent
from shoal_agent.stream import StreamState
from shoal_embedded import live
from shoal_embedded.first_start import USERNAME, Front, Opening
from shoal_embedded.processes import ServerError
from shoal_embedded.suite import LocalSuite, redirect_output
from shoal_embedded.supervision import Say

PLAIN_LINE_S = 60.0
AGENT_INTERVAL_S = 5.0
LOOK_EVERY_S = 1.0
PASSWORD_BYTES = 12


def up(
    port: Annotated[
        int, typer.Option(min=1, max=65_535, help="The port of the gateway, where everybody comes in.")
    ] = 8080,
    host: Annotated[
        str, typer.Option(help="The address of the gateway. 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    state: Annotated[Path, typer.Option(help="Where data, credentials and logs are kept.")] = Path(".shoal"),
    processes: Annotated[bool, typer.Option("--processes", help="One process per service, not one for all.")] = False,
    agent: Annotated[bool, typer.Option(help="Pair this machine as the first agent and stream its metrics.")] = True,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines, also on a terminal.")] = False,
) -> None:
    """Run all of Shoal on this machine: PostgreSQL, NATS, the gateway, every service, and a first agent.

    The first start makes the admin and prints the password once (SHOAL_ADMIN_PASSWORD presets it); later starts find
    yesterday's data. Ctrl-C stops everything in order, once requests under way have ended; Ctrl-C again ends them at
    once. Give SHOAL_DATABASE_URL or SHOAL_NATS_URL to use servers of your own. Nothing is downloaded, and nothing
    outside the state folder is touched.
    """
    suite_state = state.resolve()
    screen = Screen(Console(), is_plain=plain or not sys.stdout.isatty())
    password = os.environ.pop("SHOAL_ADMIN_PASSWORD", None)  # none of the services' business
    if password is not None:
        _check_password(password)
    suite = LocalSuite(suite_state, host=host, port=port, in_processes=processes, tell=screen.tell, say=screen.say)
    if strange := unknown_variables(list(suite.services.values()), os.environ):
        screen.say(
            f"no setting has these names: {', '.join(strange)}", "they may be misspelt: docs/settings.md has all"
        )
    try:
        _make_folders(suite)
        with redirect_output(suite.logs / "shoal.log"):
            uvloop.run(_up(suite, screen, password, has_agent=agent))
    except ServerError as error:
        screen.stop()
        fail(str(error), _cure(error, suite))
    except ConfigError as error:
        screen.stop()
        cure = "docs/settings.md tells what each may hold, `shoal check` what each service reads"
        fail("the configuration does not hold", cure, problems=error.problems)
    except (MigrationError, RuntimeError, OSError) as error:
        screen.stop()
        fail(str(error), f"logs are in {suite.logs}")


class Screen:
    """What the operator sees: a live view on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, *, is_plain: bool) -> None:
        self._console = console
        self._is_plain = is_plain
        self._started = time.monotonic()
        self._status = None if is_plain else console.status("starting")

    def tell(self, what: str) -> None:
        """Say what is being done."""
        if self._status is None:
            self._console.print(f"shoal: {what} …", highlight=False)
        else:
            self._status.start()
            self._status.update(f"{what} …")

    def open(self, suite: LocalSuite, opening: Opening) -> None:
        """Say that everything is there, and how to come in."""
        self.stop()
        text = _welcome(suite.public_url, _shown(suite.jar), opening)
        took = f"ready in {time.monotonic() - self._started:.1f} s"
        if self._is_plain:
            self._console.print(f"shoal: {took}\n{text}", highlight=False, soft_wrap=True)
        else:
            self._console.print(Panel.fit(Text(f"Shoal is up, {took}")))
            self._console.print(text, highlight=False, soft_wrap=True)

    def say(self, what: str, then: str) -> None:
        """Say what went wrong while everything else goes on, and what comes of it or cures it."""
        self._console.print(f"shoal: {what}\n  → {then}", highlight=False, markup=False, soft_wrap=True)

    async def watch(self, url: str, session: str, sign_in: live.SignIn, *, agent_id: str) -> None:
        """Show this machine's metrics as they come, for ever."""
        shown = 0.0
        with contextlib.nullcontext() if self._is_plain else Live(console=self._console, auto_refresh=False) as view:
            async for frame in live.frames(url, session, sign_in, agent_id=agent_id):
                if view is not None:
                    view.update(Text(live.line(frame), style="green"), refresh=True)
                elif time.monotonic() - shown > PLAIN_LINE_S:
                    shown = time.monotonic()
                    self._console.print(live.line(frame), highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Show no more that something is being done."""
        if self._status is not None:
            self._status.stop()


async def _up(suite: LocalSuite, screen: Screen, password: str | None, *, has_agent: bool) -> None:
    def hurry() -> None:
        screen.say("ending at once", "what was under way is cut off; PostgreSQL and NATS still stop in order")
        suite.hurry()

    stopping = stop_on_signals(hurry)
    work = asyncio.ensure_future(_serve(suite, screen, password, has_agent=has_agent))
    asked = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if asked.done():
            screen.stop()
            screen.say("stopping, once requests and turns under way have ended", "Ctrl-C again ends them at once")
        asked.cancel()
        work.cancel()
        result = (await asyncio.gather(work, return_exceptions=True))[0]
        await suite.stop()
    if isinstance(result, Exception):
        raise result


async def _serve(suite: LocalSuite, screen: Screen, password: str | None, *, has_agent: bool) -> None:
    await suite.start()
    async with Front(suite.url) as front, contextlib.AsyncExitStack() as stack:
        opening = await _open(suite, front, screen, password, has_agent=has_agent)
        screen.open(suite, opening)
        works = [suite.until_failure()]
        if opening.agent_id is not None:
            agent = await stack.enter_async_context(Agent.open(agent_state(suite), interval_s=AGENT_INTERVAL_S))

            async def sign_in() -> str:
                await front.sign_in(await _link(suite, suite.url))
                return front.session

            works += [
                screen.watch(suite.url, front.session, sign_in, agent_id=opening.agent_id),
                tell_of_endings(agent, agent_state(suite), screen.say),
            ]
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(tasks)


async def tell_of_endings(agent: Agent, state: Path, say: Say) -> None:
    """Say once, each time, that this machine's agent streams no more, why, and what to do; for ever."""
    told = ""
    while True:
        report = agent.report
        why = report.stream.reason if report is not None and report.stream.state.is_final else ""
        if why and why != told:
            is_gone = report is not None and report.stream.state is StreamState.UNPAIRED
            cure = "Ctrl-C and the same command again pair it anew" if is_gone else f"its state is in {state}"
            say(f"this machine is not watched any more: {why}", cure)
        told = why
        await asyncio.sleep(LOOK_EVERY_S)


async def _open(suite: LocalSuite, front: Front, screen: Screen, given: str | None, *, has_agent: bool) -> Opening:
    password = given or secrets.token_urlsafe(PASSWORD_BYTES)
    is_new = await front.set_up(password)
    await front.sign_in(await _link(suite, suite.url))
    agent_id = await front.paired_machine(agent_state(suite)) if has_agent else None
    if has_agent and agent_id is None:
        screen.tell("pairing this machine as an agent")
        agent_id = await front.pair_machine(agent_state(suite))
    link, shell_link = await _link(suite, suite.public_url), await _link(suite, suite.public_url)
    return Opening(password if is_new and not given else None, link, shell_link, agent_id)


async def _link(suite: LocalSuite, url: str) -> str:
    return await make_sign_in_link(suite.environment["GATEWAY_DATABASE_URL"], public_url=url, username=USERNAME)


def agent_state(suite: LocalSuite) -> Path:
    """Tell where this machine's agent keeps its pairing and journal."""
    return suite.state / "agents" / "this-machine"


def _check_password(password: str) -> None:
    try:
        check_length(password, at_least=SHORTEST_PASSWORD)
    except PasswordRefusedError as error:
        raise typer.BadParameter(f"SHOAL_ADMIN_PASSWORD cannot be used. {error.message}") from error


def _make_folders(suite: LocalSuite) -> None:
    try:
        suite.make_folders()
    except OSError as error:
        told = f"cannot keep anything in {suite.state}: {error.strerror}"
        raise ServerError("state", told, cure="name a folder that you may write to: --state FOLDER") from error


def _cure(error: ServerError, suite: LocalSuite) -> str:
    if error.cure is not None:
        return error.cure
    if error.log is None:
        return f"logs are in {suite.logs}"
    return "the log tells what led to it; the same command starts everything again, with your data"


def _welcome(url: str, jar: str, opening: Opening) -> str:
    metrics = (
        f"{url}/telemetry/metrics/{opening.agent_id}?period=1h" if opening.agent_id else f"{url}/telemetry/overview"
    )
    lines = [
        "",
        f"  Gateway    {url}   (docs at {url}/docs)",
        f"  Sign in    user {USERNAME}, password {opening.password}   (shown this once)"
        if opening.password
        else f"  Sign in    user {USERNAME}, with your password",
        f"  Browser    {opening.link}   (signs you in, once)",
        "",
        "  Paste these into another terminal:",
        "",
        f"  curl -s -o /dev/null -c {jar} '{opening.shell_link}'",
        f"  curl -s -b {jar} {url}/pairing",
        f"  curl -s -b {jar} '{metrics}'",
        "",
        "  Ctrl-C stops everything, instances two minutes later; your data stays.",
        "",
    ]
    return "\n".join(lines)


def _shown(path: Path) -> str:
    """Write a path as one would type it here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
