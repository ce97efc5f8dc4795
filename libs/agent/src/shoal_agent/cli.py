"""`shoal-agent`, also mounted as `shoal agent`."""

import asyncio
import contextlib
import json
import logging
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from shoal_agent.agent import Agent, pair
from shoal_agent.errors import AgentError, InvalidSettingError
from shoal_agent.state import Report, StateDirectory

app = typer.Typer(
    name="agent",
    help="Pair this machine with a dashboard, and stream its telemetry.",
    epilog="Exit codes: 0 done, 2 wrong argument, 3 not paired, 4 refused by the server, "
    "5 gateway unreachable, 6 already running.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        envvar="SHOAL_AGENT_STATE",
        metavar="DIR",
        show_default="~/.shoal-agent",
        help="Where the pairing and unsent frames are kept.",
    ),
]


@app.command("pair")
def pair_command(
    gateway: Annotated[
        str,
        typer.Option(envvar="SHOAL_AGENT_GATEWAY", metavar="URL", help="The gateway, such as https://shoal.example."),
    ],
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SHOAL_AGENT_TOKEN",
            metavar="T",
            help="The pairing token; asked for on a terminal when absent.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(envvar="SHOAL_AGENT_TOKEN_FILE", metavar="FILE", help="Read the token from a file; - is stdin."),
    ] = None,
    agent_id: Annotated[
        str | None,
        typer.Option(envvar="SHOAL_AGENT_ID", metavar="ID", help="This agent's id; made up and kept when absent."),
    ] = None,
    handle: Annotated[
        str | None,
        typer.Option("--handle", "--name", envvar="SHOAL_AGENT_HANDLE", help="How the agent would like to be called."),
    ] = None,
    state: StateOption = None,
) -> None:
    """Trade a pairing token for a place on the dashboard.

    Open a pairing in the dashboard; it shows a token that works once, within 30 minutes. Then:

        shoal-agent pair --gateway https://shoal.example --token ...

    Other users of this machine can see a token that is given as an argument, but not one in a file, in the
    variable or typed at the prompt. An agent that already runs takes up the new pairing by itself.
    """
    with _explained():
        secret = _token(token, token_file)
        pairing = asyncio.run(pair(state, gateway, secret, agent_id=agent_id, handle=handle))
        called = f" ({pairing.handle})" if pairing.handle else ""
        typer.echo(f"paired: {pairing.agent_id}{called} as {pairing.pairing_id}")
        typer.echo(f"telemetry: {pairing.websocket_url}")
        if pairing.websocket_url.startswith("ws://") and pairing.gateway_url.startswith("https://"):
            typer.echo("note: telemetry is not encrypted (ws://), although the gateway is", err=True)
        typer.echo("next: shoal-agent run")


@app.command()
def run(
    interval: Annotated[
        str, typer.Option(envvar="SHOAL_AGENT_INTERVAL", metavar="DURATION", help="Time between samples.")
    ] = "10s",
    state: StateOption = None,
) -> None:
    """Stream this machine's metrics until told to stop.

    Samples memory and processor every interval. What cannot be sent is kept on disk for 24 hours and sent
    later, in order, whatever is restarted or killed in between.

    When the pairing is deleted or the token refused, it says so, stops sending and waits for
    `shoal-agent pair`. Ctrl-C or SIGTERM says goodbye and ends with 0.
    """
    _log_to_stderr()
    with _explained():
        asyncio.run(_run(state, _seconds(interval)))


@app.command()
def status(
    state: StateOption = None,
    *,
    is_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say who this agent is and how its stream is doing; exits with 3 when it is not paired."""
    with _explained():
        directory = StateDirectory.at(state)
        pairing = directory.pairing()
        report = directory.report()
        facts: dict[str, object] = {
            "agent": pairing.agent_id,
            "pairing": pairing.pairing_id,
            "gateway": pairing.gateway_url,
            "telemetry": pairing.websocket_url,
            "running": directory.is_locked(),
        }
        if is_json:
            typer.echo(json.dumps(facts | {"report": msgspec.to_builtins(report)}))
            return
        for name, value in (facts | _figures(report)).items():
            typer.echo(f"{name + ':':<13}{_words(value)}")


@app.command()
def unpair(state: StateOption = None) -> None:
    """Forget the pairing and every unsent frame, on this machine only.

    Delete the pairing in the dashboard too: until then its telemetry token stays valid.
    """
    with _explained():
        directory = StateDirectory.at(state)
        was_paired = directory.remove_pairing()
        if not directory.is_locked():
            directory.remove_other_journals(None)
        typer.echo("unpaired; delete the pairing in the dashboard as well" if was_paired else "was not paired")


@app.command()
def instance(
    folder: Annotated[
        Path, typer.Option("--dir", envvar="SHOAL_INSTANCE_DIR", metavar="DIR", help="The instance's folder.")
    ],
    given: Annotated[
        Path | None,
        typer.Option(
            "--given",
            envvar="SHOAL_INSTANCE_GIVEN",
            metavar="DIR",
            help="Where its settings are, when they are mounted elsewhere.",
        ),
    ] = None,
) -> None:
    """Serve an instance: SSH, screens, gateway, log and telemetry.

    The folder holds `settings.json` and what goes with it. Needs the extra `shoal-agent[instance]`.
    """
    with _explained():
        asyncio.run(_serve(folder, given))


async def _serve(path: Path, given: Path | None) -> None:
    from shoal_agent.instance.folder import Folder  # noqa: PLC0415 - other commands do without the extra
    from shoal_agent.instance.serving import Instance  # noqa: PLC0415

    loop, folder = asyncio.get_running_loop(), Folder(path, given)
    served = Instance(folder, folder.settings())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop_once(loop, served.stop))
    with folder.locked():
        await served.run()


async def _run(state: Path | None, interval_s: float) -> None:
    loop = asyncio.get_running_loop()
    async with Agent.open(state, interval_s=interval_s) as agent:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _stop_once(loop, agent.stop))
        await agent.run()


def _stop_once(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> Callable[[], None]:
    """Stop in order at the first signal; the second one acts as it always does."""

    def on_signal() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        stop()

    return on_signal


def _seconds(text: str) -> float:
    """Read `10s`, `500ms`, `2m` or a bare number of seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    if match is None:
        raise InvalidSettingError("interval", f"{text!r} is not a duration; write 10s, 500ms or 2m")
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[match[2] or "s"]


def _token(token: str | None, token_file: Path | None) -> str:
    if token is None and token_file is not None:
        try:
            token = (sys.stdin.read() if str(token_file) == "-" else token_file.read_text()).strip()
        except OSError as error:
            raise InvalidSettingError("token file", str(error)) from error
    if token is None and sys.stdin.isatty():
        token = typer.prompt("Pairing token", hide_input=True)
    if not token:
        raise InvalidSettingError("token", "give --token, --token-file or SHOAL_AGENT_TOKEN")
    return token


def _figures(report: Report | None) -> dict[str, object]:
    if report is None:
        return {}
    stream, journal, drops = report.stream, report.journal, report.journal.drops
    return {
        "state": f"{stream.state} for {_ago(stream.since)}" + (f": {stream.reason}" if stream.reason else ""),
        "to send": journal.pending,
        "acknowledged": journal.acknowledged,
        "lost": f"{drops.expired} too old, {drops.overflowed} too many, {drops.damaged} damaged",
        "refused": sum(stream.refused.values()),
        "reported": f"{_ago(report.updated_at)} ago",
    }


def _words(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _ago(moment: float) -> str:
    return str(timedelta(seconds=max(0, int(time.time() - moment))))


def _log_to_stderr() -> None:
    is_terminal = sys.stderr.isatty()
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
        if is_terminal
        else logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    )
    logger = logging.getLogger("shoal_agent")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn an error into its words and its exit code."""
    try:
        yield
    except AgentError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except OSError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
