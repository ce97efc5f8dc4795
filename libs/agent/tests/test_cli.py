"""The command line, as real processes."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_doubles import AGENT, TOKEN, Gateway, Ingest, eventually

from shoal_agent.state import StateDirectory


async def start(*arguments: str, state: Path, **variables: str) -> Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    environment = kept | {"SHOAL_AGENT_STATE": str(state)} | variables
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal_agent", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
    )


async def run(*arguments: str, state: Path, stdin: bytes = b"", **variables: str) -> tuple[int, str]:
    process = await start(*arguments, state=state, **variables)
    out, err = await asyncio.wait_for(process.communicate(stdin), 10)
    return process.returncode or 0, (out + err).decode()


@asynccontextmanager
async def running(state: Path) -> AsyncIterator[Process]:
    process = await start("run", "--interval", "100ms", state=state)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_pair_then_status_then_unpair(gateway: Gateway, ingest: Ingest, tmp_path: Path) -> None:
    gateway.confirms(ingest.url)
    code, text = await run("pair", "--gateway", gateway.url, "--token", "t", "--name", "sol", state=tmp_path)
    assert (code, "paired: agent_abc123 (sol) as pair_1" in text) == (0, True)
    code, text = await run("status", state=tmp_path)
    assert code == 0
    assert AGENT in text
    assert "running:     no" in text
    assert TOKEN not in text
    code, text = await run("unpair", state=tmp_path)
    assert (code, "delete the pairing in the dashboard" in text) == (0, True)
    assert (await run("status", state=tmp_path))[0] == 3
    assert "\x1b" not in text


async def test_everything_can_come_from_the_environment(gateway: Gateway, ingest: Ingest, tmp_path: Path) -> None:
    gateway.confirms(ingest.url)
    (tmp_path / "token").write_text("from-a-file\n")
    code, _ = await run(
        "pair",
        state=tmp_path / "state",
        SHOAL_AGENT_GATEWAY=gateway.url,
        SHOAL_AGENT_TOKEN_FILE=str(tmp_path / "token"),
        SHOAL_AGENT_ID=AGENT,
        SHOAL_AGENT_HANDLE="sol",
    )
    assert code == 0
    assert gateway.asked[0]["token"] == "from-a-file"
    assert gateway.asked[0]["agent_id"] == AGENT
    assert gateway.asked[0]["handle"] == "sol"


async def test_token_may_come_from_stdin(gateway: Gateway, ingest: Ingest, tmp_path: Path) -> None:
    gateway.confirms(ingest.url)
    arguments = ("pair", "--gateway", gateway.url, "--token-file", "-")
    assert (await run(*arguments, state=tmp_path, stdin=b"piped\n"))[0] == 0
    assert gateway.asked[0]["token"] == "piped"


async def test_exit_codes_tell_what_went_wrong(gateway: Gateway, tmp_path: Path) -> None:
    gateway.refuses(400, "token_expired", "This token has expired.")
    refused, unreachable, no_token, unpaired, wrong = await asyncio.gather(
        run("pair", "--gateway", gateway.url, "--token", "t", state=tmp_path),
        run("pair", "--gateway", "http://127.0.0.1:1", "--token", "t", state=tmp_path),
        run("pair", "--gateway", gateway.url, state=tmp_path),
        run("run", state=tmp_path),
        run("run", "--interval", "soon", state=tmp_path),
    )
    assert [code for code, _ in (refused, unreachable, no_token, unpaired, wrong)] == [4, 5, 2, 3, 2]
    assert "This token has expired. [token_expired]" in refused[1]
    assert "30 minutes" in refused[1]
    assert "Traceback" not in "".join(text for _, text in (refused, unreachable, no_token, unpaired, wrong))


async def test_agent_id_that_cannot_be_is_not_kept(gateway: Gateway, ingest: Ingest, tmp_path: Path) -> None:
    gateway.confirms(ingest.url)
    given = ("pair", "--gateway", gateway.url, "--token", "t")
    assert (await run(*given, "--agent-id", "a b", state=tmp_path))[0] == 2
    assert (await run(*given, state=tmp_path))[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_run_stops_in_order_at_a_signal(ingest: Ingest, paired: StateDirectory, number: int) -> None:
    async with running(paired.path) as process:
        await eventually(lambda: ingest.of_type("metrics"))
        process.send_signal(number)
        _, err = await asyncio.wait_for(process.communicate(), 5)
        assert process.returncode == 0
    assert ingest.of_type("status")[-1]["status"] == "offline"
    assert b"streaming to ws://" in err
    assert b"\x1b" not in err
    assert TOKEN.encode() not in err


async def test_other_commands_know_that_an_agent_runs(ingest: Ingest, paired: StateDirectory) -> None:
    async with running(paired.path):
        await eventually(lambda: ingest.of_type("metrics"))
        (code, text), (second, _) = await asyncio.gather(
            run("status", "--json", state=paired.path), run("run", state=paired.path)
        )
    status = json.loads(text)
    assert (code, status["running"], status["report"]["stream"]["state"]) == (0, True, "streaming")
    assert second == 6


async def test_killed_agent_resumes_with_nothing_lost(ingest: Ingest, paired: StateDirectory) -> None:
    """Kill -9 thrice, once while the server is away; every frame that was taken arrives, under one epoch."""
    for is_server_away in (False, True, False):
        if is_server_away:
            await ingest.die()
        before = sum(line.count(b"\n") for line in read_journal(paired))
        async with running(paired.path) as process:
            await eventually(lambda before=before: journal_lines(paired) > before + 5)
            process.kill()
        if is_server_away:
            await ingest.start()
    taken = taken_seqs(paired)
    async with running(paired.path) as process:
        await eventually(lambda: ingest.seqs and ingest.seqs[-1] > max(taken) + 2)
        process.terminate()
        await asyncio.wait_for(process.communicate(), 5)
    assert ingest.seqs == list(range(1, ingest.seqs[-1] + 1))
    assert len(ingest.epochs) == 1
    assert max(taken) >= 15


def read_journal(state: StateDirectory) -> list[bytes]:
    return [path.read_bytes() for path in sorted(state.path.glob("journal-*/*.log"))]


def journal_lines(state: StateDirectory) -> int:
    return sum(content.count(b"\n") for content in read_journal(state))


def taken_seqs(state: StateDirectory) -> list[int]:
    lines = [line for content in read_journal(state) for line in content.splitlines()[1:]]
    return [int(line.split(b" ")[1]) for line in lines]
