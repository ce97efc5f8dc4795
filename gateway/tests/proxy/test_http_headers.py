"""What of a request and its answer goes through the HTTP proxy, and what ends there."""

import json

import pytest

from .upstreams import answering, mirror


async def test_forwards_method_path_query_and_body_untouched(serve, front):
    gateway = await front(await serve(mirror))
    caller = await gateway.caller()
    answer = await caller.ask(b"PATCH /pairing/a%20b/%C3%A9?x=1&x=%2F..", body=b"hello")
    seen = json.loads(answer.body)
    assert answer.status == 200
    assert (seen["method"], seen["path"], seen["query"]) == ("PATCH", "/pairing/a%20b/%C3%A9", "x=1&x=%2F..")
    assert seen["body"] == "hello"
    assert ["content-length", "5"] in seen["headers"]


async def test_reuses_connections(serve, front):
    gateway = await front(await serve(mirror))
    caller = await gateway.caller()
    for _ in range(20):
        assert (await caller.ask(b"GET /pairing")).status == 200
    assert gateway.pool.upstream(gateway.upstream).open == 1


async def test_keeps_duplicate_headers_and_their_order_both_ways(raw, front):
    seen = []

    async def handle(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nvary: a\r\nlink: 1\r\nvary: b\r\nlink: 2\r\ncontent-length: 0\r\n\r\n")

    gateway = await front((await raw(handle)).address)
    answer = await gateway.get(b"/pairing", b"x-a: 1", b"accept: x", b"x-a: 2")
    assert [name for name, _ in answer.headers[:4]] == [b"vary", b"link", b"vary", b"link"]
    assert answer.all(b"vary") == [b"a", b"b"]
    assert b"x-a: 1\r\naccept: x\r\nx-a: 2\r\n" in seen[0]


async def test_strips_hop_by_hop_and_what_connection_names(serve, front):
    gateway = await front(await serve(mirror))
    answer = await gateway.get(
        b"/pairing", b"connection: close, X-Hop", b"connection: X-Other", b"x-hop: 1", b"x-other: 1", b"te: trailers",
        b"keep-alive: timeout=5", b"proxy-authorization: x", b"x-stays: 1",
    )  # fmt: skip
    names = {name for name, _ in json.loads(answer.body)["headers"]}
    assert names == {"host", "x-stays", "x-shoal-identity"}


async def test_strips_what_callers_say_of_themselves_in_every_spelling(serve, front):
    gateway = await front(await serve(mirror))
    forged = [b"authorization", b"cookie", b"x-shoal-identity", b"X_Shoal_Identity", b"x-shoal_other", b"forwarded"]
    forged += [b"x-forwarded-for", b"X-Forwarded_Host", b"x-real-ip", b"x_real_ip", b"x-request-id", b"traceparent"]
    answer = await gateway.get(b"/pairing", *[name + b": forged" for name in forged])
    assert b"forged" not in answer.body
    headers = json.loads(answer.body)["headers"]
    assert [value for name, value in headers if name == "x-shoal-identity"] == ["signed-by-the-gateway"]


async def test_tells_the_upstream_its_own_host(serve, front):
    gateway = await front(await serve(mirror))
    headers = dict(json.loads((await gateway.get()).body)["headers"])
    assert headers["host"] == "{}:{}".format(*gateway.upstream)


@pytest.mark.parametrize("name", [b"host", b"content-length", b"Cookie", b"x-shoal-identity", b"X-Forwarded-For"])
async def test_refuses_a_connection_header_that_names_what_all_need(serve, front, name):
    gateway = await front(await serve(mirror))
    assert (await gateway.get(b"/pairing", b"connection: " + name)).status == 400


async def test_adds_its_headers_to_the_answer_in_place_of_the_upstreams(raw, front):
    answer = b"HTTP/1.1 200 OK\r\nserver: x\r\nset-cookie: a=b\r\nx-request-id: theirs\r\ncontent-length: 0\r\n\r\n"
    gateway = await front((await raw(answering(answer))).address)
    got = await gateway.get()
    assert got.headers == [(b"content-length", b"0"), (b"x-request-id", b"req_1")]
