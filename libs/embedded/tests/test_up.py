"""`shoal up` as an operator runs it: a program with an output, and faults while it runs."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio

from shoal_embedded import live
from shoal_embedded.ports import free_port
from shoal_embedded.processes import ServerError
from shoal_embedded.services import ServiceProcess
from shoal_embedded.suite import LocalSuite
from shoal_embedded.supervision import ending, keep_running

from .conftest import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Up:
    """A running `shoal up` and what it has said."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        state: Path,
        output: asyncio.StreamReader,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.process = process
        self.state = state
        self.said = ""
        self._output = output
        self._close = close
        self._reading = asyncio.ensure_future(self._read())

    async def says(self, pattern: str, *, within: float = 10.0) -> re.Match[str]:
        """Wait until it has said something; returns where."""

        async def said() -> bool:
            return re.search(pattern, self.said) is not None or self.process.returncode is not None

        await until(said, within=within)
        found = re.search(pattern, self.said)
        assert found is not None, self.said
        return found

    async def stop(self) -> None:
        """Ctrl-C."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        await self.process.wait()
        await self._reading
        self._close()

    async def _read(self) -> None:
        with contextlib.suppress(OSError):  # how a terminal tells that nobody writes any more
            while some := await self._output.read(4096):
                self.said += some.decode(errors="replace").replace("\r\n", "\n")


async def start(folder: Path, *arguments: str, **variables: str) -> Up:
    state = folder / ".shoal"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal", "up", "--plain", "--state", str(state), *arguments,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "SHOAL_DRAIN_TIMEOUT": "2s", **variables},
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    return Up(process, state, process.stdout)


async def start_on_terminal(folder: Path, *arguments: str, **variables: str) -> Up:
    state = folder / ".shoal"
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal", "up", "--state", str(state), *arguments,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm", "COLUMNS": "120", **variables},
        cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    output = asyncio.StreamReader()
    connected = asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), os.fdopen(ours, "rb", buffering=0)
    )
    return Up(process, state, output, (await connected)[0].close)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    started = await start(tmp_path_factory.mktemp("up"), "--processes", "--port", str(free_port()))
    try:
        await started.says("(?s:ready in .*Ctrl-C)", within=55)
        yield started
    finally:
        await started.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(up: Up) -> AsyncIterator[httpx.AsyncClient]:
    url = (await up.says(r"Gateway +(\S+)"))[1]
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
        await client.get((await up.says(r"Browser +(\S+)"))[1])
        yield client


async def test_the_state_folder_and_the_cookie_jar_are_nobody_elses(up: Up) -> None:
    assert up.state.stat().st_mode & 0o707 == 0o700
    assert (up.state / "cookies").stat().st_mode & 0o777 == 0o600
    assert (up.state / "logs").stat().st_mode & 0o777 == 0o700


async def test_the_live_line_is_of_this_machine_alone(up: Up, admin: httpx.AsyncClient) -> None:
    this_machine = (await up.says(r"metrics/(agent_\w+)"))[1]
    token = (await admin.post("/pairing/init")).json()["token"]
    paired = (await admin.post("/pairing/confirm", json={"token": token, "agent_id": "agent_other"})).json()
    frames = live.frames(str(admin.base_url).rstrip("/"), admin.cookies["shoal_session"], never, agent_id=this_machine)
    async with asyncio.timeout(15), contextlib.aclosing(frames):
        await anext(frames)
        now = datetime.now(UTC).isoformat()
        frame = {"type": "metrics", "agent_id": "agent_other", "timestamp": now, "data": {"messages_1h": 1}}
        bearer = {"authorization": f"Bearer {paired['telemetry_token']}"}
        sent = await admin.post("/telemetry/ingest", json={"items": [frame]}, headers=bearer)
        assert sent.json()["accepted"] == 1, sent.text
        heard = await anext(frames)
    assert heard["agent_id"] == this_machine
    assert live.line(heard).startswith("this machine   cpu ")


async def never() -> str:
    raise AssertionError("the login is good")


async def test_the_live_line_signs_in_anew_when_its_login_ends(up: Up, admin: httpx.AsyncClient) -> None:
    this_machine = (await up.says(r"metrics/(agent_\w+)"))[1]
    url = str(admin.base_url).rstrip("/")
    password = {"username": "watcher", "password": "long enough"}
    (await admin.post("/api/v1/users", json=password)).raise_for_status()
    sign_ins: list[httpx.AsyncClient] = []

    async def sign_in() -> str:
        sign_ins.append(httpx.AsyncClient(base_url=url, trust_env=False))
        (await sign_ins[-1].post("/api/v1/auth/login", json=password)).raise_for_status()
        return sign_ins[-1].cookies["shoal_session"]

    frames = live.frames(url, "", sign_in, agent_id=this_machine)
    async with asyncio.timeout(20):
        await anext(frames)
        await sign_ins[0].post("/api/v1/auth/logout")
        while len(sign_ins) == 1:
            await anext(frames)
        assert (await anext(frames))["type"] == "metrics"
    await frames.aclose()
    for client in sign_ins:
        await client.aclose()


async def test_a_lost_service_is_told_of_and_started_again(up: Up, admin: httpx.AsyncClient) -> None:
    before = service(up, "metrics-query")
    before.kill()
    told = await up.says(r"shoal: metrics-query was ended by SIGKILL\n.*started again.*: (\S+metrics-query\.log)")
    assert told[1] == str(up.state / "logs" / "metrics-query.log")

    async def answers() -> bool:
        return (await admin.get("/telemetry/overview")).is_success

    await until(answers, within=15)
    assert up.process.returncode is None
    assert service(up, "metrics-query").pid != before.pid


async def test_the_end_of_this_machines_pairing_is_told_once_with_its_cure(up: Up, admin: httpx.AsyncClient) -> None:
    listed = (await admin.get("/pairing")).json()["pairings"]
    (await admin.delete(f"/pairing/{listed[0]['id']}")).raise_for_status()

    await up.says(r"not watched any more: .*deleted.*\n.*again pair it anew")

    await up.says(r"not watched any more: .*deleted.*\n.*again pair it anew")
    assert up.said.count("not watched any more") == 1


async def test_behind_a_public_address_links_lead_there_and_this_machine_pairs_once_and_here(tmp_path: Path) -> None:
    there = "https://shoal.example"
    port = free_port()
    up = await start(tmp_path, "--port", str(port), SHOAL_PUBLIC_URL=f"{there}/")
    try:
        await up.says("(?s:ready in .*Ctrl-C)", within=45)
        for words in (rf"Gateway +{there} ", rf"Browser +{there}/api/v1/auth/link/\S+", rf"'{there}/api/v1/auth/link/"):
            await up.says(words)
        await up.says(r"\nthis machine +cpu ")
    finally:
        await up.stop()

    assert "pairing this machine" in up.said

    again = await start(tmp_path, "--port", str(port))
    try:
        await again.says("(?s:ready in .*Ctrl-C)", within=45)
    finally:
        await again.stop()
    assert "pairing this machine" not in again.said
    assert (await up.says(r"metrics/(agent_\w+)"))[1] == (await again.says(r"metrics/(agent_\w+)"))[1]


@pytest.mark.parametrize(("launch", "arguments"), [(start, ("--processes",)), (start_on_terminal, ())])
async def test_a_stop_says_what_it_waits_for_and_a_second_ctrl_c_ends_it_at_once(
    tmp_path: Path, launch: Callable[..., Awaitable[Up]], arguments: tuple[str, ...]
) -> None:
    up = await launch(tmp_path, *arguments, "--port", str(free_port()), SHOAL_DRAIN_TIMEOUT="15s")
    try:
        await up.says("(?s:ready in .*Ctrl-C.*this machine)", within=45)
        children = psutil.Process(up.process.pid).children(recursive=True)
        async with slow_turn((await up.says(r"Browser +(\S+)"))[1]) as turn:
            up.process.send_signal(signal.SIGINT)
            await up.says(r"stopping, once requests and turns .* have ended\n.*Ctrl-C again ends them", within=2)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(up.process.wait(), 1.5)
            hurried = time.monotonic()
            up.process.send_signal(signal.SIGINT)
            await up.says("ending at once", within=2)
            await asyncio.wait_for(up.process.wait(), 10)
            took = time.monotonic() - hurried
            assert (await turn).json()["error"]["code"] == "shutting_down"
    finally:
        await up.stop()
    assert took < 8, f"{took:.1f} s"
    assert up.process.returncode == 0, up.said
    assert [child for child in children if child.is_running()] == []
    assert "database system is shut down" in next(up.state.glob("**/postgres*.log")).read_text()


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (("--port", "99999"), {}, "should be less than or equal to 65535"),
        ((), {"SHOAL_ADMIN_PASSWORD": "short"}, "SHOAL_ADMIN_PASSWORD cannot be used. A password has at least 8"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str], words: str
) -> None:
    refused = await start(tmp_path, *arguments, **variables)
    await refused.process.wait()
    await refused.stop()

    assert words in " ".join(refused.said.replace("│", " ").split())
    assert refused.process.returncode == 2
    assert not refused.state.exists()


async def test_a_folder_that_cannot_be_is_refused_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / ".shoal").touch()
    refused = await start(tmp_path)
    await refused.process.wait()
    await refused.stop()

    assert re.search(r"cannot keep anything in \S+: Not a directory → .* --state", " ".join(refused.said.split()))
    assert refused.process.returncode == 1


@pytest.mark.parametrize(
    ("name", "value", "problem", "cure"),
    [
        ("GATEWAY_PORT", "9000", "has no meaning here", "--port"),
        ("SHOAL_DATABASE_URL", "nothing", "must read postgresql://", "unset it"),
        ("SHOAL_NATS_URL", "nothing", "must read nats://", "unset it"),
    ],
)
async def test_a_variable_that_means_nothing_here_is_refused_with_its_cure(
    tmp_path: Path, name: str, value: str, problem: str, cure: str
) -> None:
    with pytest.raises(ServerError, match=f"^{name}: {problem}") as refused:
        await LocalSuite(tmp_path, port=free_port(), given={name: value}).start()
    assert cure in str(refused.value.cure)
    assert not (tmp_path / "logs").exists()


async def test_a_database_that_cannot_be_reached_is_named_with_its_cure(tmp_path: Path) -> None:
    given = {"SHOAL_DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    suite = LocalSuite(tmp_path, port=free_port(), given=given)
    try:
        with pytest.raises(ServerError, match=r"^SHOAL_DATABASE_URL: cannot be used: ") as refused:
            await suite.start()
    finally:
        await suite.stop()
    assert "unset it" in str(refused.value.cure)


async def test_a_service_that_ends_again_and_again_is_given_up_with_its_log(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    process = ServiceProcess("pairing", environment={"SHOAL_LOG_LEVEL": "nonsense"}, log=tmp_path / "pairing.log")
    await process.start()

    with pytest.raises(ServerError, match=r"pairing: ended .* status \d+, 3 times in a row\n.*pairing\.log"):
        await keep_running(process, lambda what, _: told.append(what), first_pause_s=0.01, max_losses=3)
    assert len(told) == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "ended by itself with status 0"), (-9, "was ended by SIGKILL"), (-99, "was ended by signal 99")],
)
async def test_an_ending_is_told_by_name(status: int, words: str) -> None:
    assert ending(status) == words


@contextlib.asynccontextmanager
async def slow_turn(sign_in: str) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
    """Have an agent talk for a minute; yields the request once it is under way."""
    async with httpx.AsyncClient(base_url=sign_in.partition("/api")[0], timeout=90, trust_env=False) as client:
        await client.get(sign_in)
        (await client.post("/api/sessions", json={"agent_id": "agent_general", "key": "slow"})).raise_for_status()
        saying = {"content": "/slowly " + "word " * 600}
        turn = asyncio.create_task(client.post("/api/sessions/slow/messages", json=saying))

        async def is_running() -> bool:
            return "running" in (await client.get("/api/sessions/slow/runs")).text

        await until(is_running)
        yield turn


def service(up: Up, name: str) -> psutil.Process:
    children = psutil.Process(up.process.pid).children()
    return next(child for child in children if child.cmdline()[-2:] == ["run", name])
