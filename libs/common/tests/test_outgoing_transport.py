"""The transport of outgoing requests: answers as they come, errors in httpx2's words, connections given back."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import httpx2
import psutil
import pytest
import pytest_asyncio

from shoal.outgoing.addresses import Address
from shoal.outgoing.transport import Transport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Server:
    """A server that answers each request with the bytes that it is told, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer = OK
        self.is_cut = False
        self.pause_s = 0.0
        self.connections = 0
        self.asked: list[tuple[str, bytes]] = []
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Server"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, said: bytes) -> None:
        """Say something that nobody asked for."""
        for writer in self._open:
            writer.write(said)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.append(writer)
        self._tasks.add(asyncio.ensure_future(self._answer(reader, writer)))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                body = b""
                if "transfer-encoding: chunked" in head:
                    while size := int(await reader.readuntil(b"\r\n"), 16):
                        body += (await reader.readexactly(size + 2))[:-2]
                    await reader.readexactly(2)
                elif "content-length: " in head:
                    body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
                self.asked.append((head, body))
                writer.write(self.answer)
                await writer.drain()
                await asyncio.sleep(self.pause_s)
                if self.is_cut:
                    break


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().serving() as served:
        yield served


async def anywhere(host: str, _: int) -> list[Address]:
    return [ipaddress.ip_address("127.0.0.1" if host == "here.example" else host)]


@contextlib.asynccontextmanager
async def client(*, connections: int = 10, **timeouts: float) -> AsyncIterator[httpx2.AsyncClient]:
    transport = Transport(anywhere, ssl.create_default_context(), connections=connections)
    async with httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(5, **timeouts)) as opened:
        yield opened


async def test_a_connection_whose_answer_was_read_is_used_again(server: Server) -> None:
    async with client() as asking:
        for _ in range(3):
            assert (await asking.get(server.url)).text == "ok"
    assert server.connections == 1


async def test_an_answer_that_is_closed_before_its_end_takes_its_connection_with_it(server: Server) -> None:
    server.answer, server.pause_s = CHUNKED + b"3\r\none\r\n", 5
    async with client(connections=1) as asking:
        for _ in range(2):
            async with asking.stream("GET", server.url) as answer:
                assert await anext(answer.aiter_raw()) == b"one"
    assert server.connections == 2


async def test_headers_go_and_come_as_they_are(server: Server) -> None:
    server.answer = b"HTTP/1.1 404 Gone Fishing\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\ncontent-length: 0\r\n\r\n"
    async with client() as asking:
        asking.headers.clear()
        answer = await asking.get(server.url, headers=[("x-one", "1"), ("x-one", "2")])
    assert (answer.status_code, answer.reason_phrase) == (404, "Gone Fishing")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    head = server.asked[0][0]
    assert "x-one: 1\r\n" in head
    assert "x-one: 2\r\n" in head
    assert not [name for name in ("user-agent", "accept", "accept-encoding") if f"\r\n{name}:" in head]


async def test_a_long_header_comes_whole_and_a_longer_one_is_refused(server: Server) -> None:
    async with client() as asking:
        server.answer = OK.replace(b"content-length", b"x-policy: " + b"x" * 30_000 + b"\r\ncontent-length")
        assert len((await asking.get(server.url)).headers["x-policy"]) == 30_000
        server.answer = OK.replace(b"content-length", b"x-policy: " + b"x" * 33_000 + b"\r\ncontent-length")
        with pytest.raises(httpx2.RemoteProtocolError):
            await asking.get(server.url)


async def test_a_body_is_sent_whole_or_as_it_is_made(server: Server) -> None:
    async def made() -> AsyncIterator[bytes]:
        yield b"first "
        yield b"second"

    async with client() as asking:
        await asking.post(server.url, content=b"at once")
        await asking.post(server.url, content=made())
    assert [body for _, body in server.asked] == [b"at once", b"first second"]


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"5\r\nshort",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nno header at all\r\n\r\n",
        b"garbage\r\n\r\n",
        b"",
    ],
)
async def test_what_is_no_whole_answer_is_told_as_such(server: Server, answer: bytes) -> None:
    server.answer, server.is_cut = answer, True
    async with client(connections=1) as asking:
        for _ in range(2):
            with pytest.raises(httpx2.RemoteProtocolError):
                await asking.get(server.url)


async def test_nobody_there_is_told_with_its_cause() -> None:
    async with client() as asking:
        with pytest.raises(httpx2.ConnectError) as refused:
            await asking.get("http://127.0.0.1:1/")
    assert isinstance(refused.value.__cause__, OSError)


@pytest.mark.parametrize("answer", [b"", CHUNKED + b"3\r\none\r\n"])
async def test_silence_is_told_before_an_answer_and_within_it(server: Server, answer: bytes) -> None:
    server.answer, server.pause_s = answer, 5
    async with client(connections=1, read=0.1) as asking:
        for _ in range(2):
            with pytest.raises(httpx2.ReadTimeout):
                await asking.get(server.url)


async def test_a_look_up_that_takes_too_long_is_no_connection() -> None:
    async def never(_: str, __: int) -> list[Address]:
        await asyncio.sleep(60)
        return []

    transport = Transport(never, ssl.create_default_context())
    async with httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(5, connect=0.1)) as asking:
        with pytest.raises(httpx2.ConnectTimeout):
            await asking.get("http://slow.example/")


async def test_who_finds_no_connection_free_is_told_in_time(server: Server) -> None:
    server.pause_s, server.answer = 5, CHUNKED
    async with client(connections=1, pool=0.1) as asking, asking.stream("GET", server.url):
        with pytest.raises(httpx2.PoolTimeout):
            await asking.get(server.url)


@pytest.mark.parametrize(
    "ask", [lambda asking, url: asking.get(url), lambda asking, url: asking.post(url, content=b"x" * 10**7)]
)
async def test_a_request_that_is_given_up_gives_its_connection_back(
    server: Server, ask: Callable[[httpx2.AsyncClient, str], object]
) -> None:
    server.pause_s, server.answer = 5, b""
    async with client(connections=1, pool=0.5) as asking:
        given_up = asyncio.ensure_future(ask(asking, server.url))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        server.answer, server.pause_s = OK, 0
        assert (await asking.get(server.url)).text == "ok"


async def test_a_header_that_cannot_be_sent_is_refused_here(server: Server) -> None:
    async with client() as asking:
        with pytest.raises(httpx2.LocalProtocolError):
            await asking.get(server.url, headers={"x-split": "one\r\nx-other: two"})
    assert server.asked == []


async def test_a_name_is_asked_for_by_its_name(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    async with client() as asking:
        assert (await asking.get(f"http://here.example:{port}")).text == "ok"
    assert f"host: here.example:{port.strip('/')}\r\n" in server.asked[0][0]


async def test_what_a_server_says_unasked_is_no_answer_to_the_next_request(server: Server) -> None:
    async with client() as asking:
        assert (await asking.get(server.url)).text == "ok"
        server.say(OK.replace(b"ok", b"no"))
        await asyncio.sleep(0.05)
        assert (await asking.get(server.url)).text == "ok"
    assert server.connections == 2


async def test_who_takes_no_body_is_given_up_in_time_and_nothing_is_kept_for_him() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        accepting = asyncio.ensure_future(asyncio.get_running_loop().sock_accept(listening))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        async with client(connect=0.1, write=0.1, read=0.1) as asking:
            with pytest.raises(httpx2.ReadTimeout):
                await asyncio.wait_for(asking.post(url, content=b"x" * 10**7), 2)
            taken = (await accepting)[0]
            left = [place.raddr for place in psutil.Process().net_connections("tcp") if place.raddr]
    with taken:
        assert taken.getsockname() not in left


async def test_a_body_is_sent_whole_though_its_answer_comes_first() -> None:
    sent = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(CHUNKED)
            sent.set_result(len(await reader.readexactly(10**7)))
            writer.write(b"2\r\nok\r\n0\r\n\r\n")

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as early, client() as asking:
        url = f"http://127.0.0.1:{early.sockets[0].getsockname()[1]}/"
        assert (await asking.post(url, content=b"x" * 10**7)).text == "ok"
    assert await sent == 10**7


async def test_an_address_that_swallows_connections_keeps_nobody_from_the_next_one(server: Server) -> None:
    port = int(server.url.rpartition(":")[2].strip("/"))

    async def both(_: str, __: int) -> list[Address]:
        return [ipaddress.ip_address("127.0.0.2"), ipaddress.ip_address("127.0.0.1")]

    with contextlib.ExitStack() as opened:
        swallowing = opened.enter_context(socket.socket())
        swallowing.bind(("127.0.0.2", port))
        swallowing.listen(0)
        for _ in range(4):  # more than it queues: the next ones get no answer at all
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        transport = Transport(both, ssl.create_default_context())
        async with httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(2)) as asking:
            assert (await asking.get(f"http://here.example:{port}")).text == "ok"
