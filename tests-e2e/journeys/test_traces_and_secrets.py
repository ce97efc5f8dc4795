"""What leaves the suite beside its answers: traces that hang together, and never a secret."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from msgspec import Struct
from nats.aio.msg import Msg
from stack import ClosedError, Stack, running, telemetry_socket
from stack.running import PASSWORD
from stack.sockets import metrics_frame
from stack.spans import SpanReceiver, span_receiver

from shoal.testing.suite import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"
FACT = "pairing.confirmed.v1"
WRONG = "canary-wrong-password-7d1f"
WRONG_TOKEN = "telem_canary7d1fcanary7d1fcanary7d1f"
PROVIDER_KEY = "sk-canary-provider-key-7d1f"


class Traced(Struct):
    """A suite that exports its spans here."""

    stack: Stack
    receiver: SpanReceiver


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traced]:
    async with span_receiver() as receiver:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        async with running(tmp_path_factory.mktemp("traced"), **settings) as stack:
            yield Traced(stack, receiver)


async def test_one_trace_leads_from_the_gateway_through_nats_to_the_last_subscriber(traced: Traced) -> None:
    opened = await traced.stack.admin.open_pairing()
    visitor = traced.stack.client(traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    body = {"token": opened["token"], "agent_id": "agent_traced"}
    assert (await visitor.post("/pairing/confirm", json=body)).is_success
    wanted = {
        ("pairing", f"send {FACT}"),
        ("telemetry-ingest", f"process {FACT}"),
        ("metrics-query", f"process {FACT}"),
    }

    def seen() -> set[tuple[str, str]]:
        return {(span.service, span.name) for span in traced.receiver.trace(TRACE)}

    await eventually(lambda: wanted <= seen() and "gateway" in dict(seen()), seen, within_s=10)
    spans = {span.span_id: span for span in traced.receiver.trace(TRACE)}
    last = next(span for span in spans.values() if (span.service, span.name) == ("metrics-query", f"process {FACT}"))
    way = [last.service]
    while last.parent_id in spans:
        last = spans[last.parent_id]
        way.append(last.service)
    assert list(dict.fromkeys(way)) == ["metrics-query", "pairing", "gateway"]


async def test_no_secret_is_in_a_log_a_message_a_trace_an_error_or_a_table(traced: Traced) -> None:
    stack = traced.stack
    messages: list[bytes] = []

    async def keep(message: Msg) -> None:
        messages.append(message.subject.encode() + json.dumps(message.headers).encode() + message.data)

    async with stack.nats() as bus:
        await bus.subscribe(">", cb=keep)
        await bus.flush()
        secrets, errors = await use_secrets(stack)
        await eventually(lambda: any(b"pairing.deleted" in message for message in messages))
    assert len(errors) >= 6
    rows = await every_row(stack)
    logs = [log.read_bytes() for log in stack.suite.state.rglob("*.log*")]
    assert len(logs) >= 6
    places = {"log": logs, "message": messages, "error": errors, "trace": traced.receiver.bodies, "row": rows}
    known_to_be = {"log": "/pairing/confirm", "message": "agent_canary", "trace": FACT, "row": "agent_canary"}
    for place, known in known_to_be.items():
        assert any(known.encode() in text for text in places[place]), f"no {place} was searched"
    for name, secret in secrets.items():
        for place, texts in places.items():
            found = [text for text in texts if secret.encode() in text]
            assert not found, f"{name} is in a {place}: {found[0][:300]!r}"


async def use_secrets(stack: Stack) -> tuple[dict[str, str], list[bytes]]:
    """Use every kind of secret rightly and wrongly; returns them by name, and the bodies of all refusals."""
    agent, key = await stack.admin.pair("agent_canary"), await stack.admin.create_key()
    opened = await stack.admin.open_pairing()
    session = stack.admin.client.cookies["shoal_session"]
    chat = (await stack.admin.client.post("/api/auth/token")).json()["token"]
    async with agent.connect() as socket:
        await socket.send(metrics_frame(agent.agent_id, messages_1h=1))
        await socket.send({"type": "metrics", "agent_id": agent.agent_id, "timestamp": key, "data": agent.token})
        await socket.barrier()
    with pytest.raises(ClosedError) as refused:
        await socket_of(stack, WRONG_TOKEN)
    reissued = (await stack.admin.client.post(f"/pairing/{agent.pairing_id}/telemetry-token")).json()["telemetry_token"]
    await stack.admin.unpair(agent)
    config = await stack.admin.get("/api/config")
    config["providers"]["anthropic"]["api_key"] = PROVIDER_KEY
    assert (await stack.admin.client.put("/api/config", json=config)).is_success
    assert (await stack.admin.get("/api/config"))["providers"]["anthropic"]["api_key_set"] is True
    config["providers"]["anthropic"]["api_key"] = f"{PROVIDER_KEY} with a space"
    visitor = stack.client()
    refusals = [
        await stack.admin.client.put("/api/config", json=config),
        await visitor.post("/api/v1/auth/login", json={"username": "admin", "password": WRONG}),
        await visitor.post("/api/v1/auth/login", content=f'{{"password": "{PASSWORD}"'.encode()),
        await visitor.post("/pairing/confirm", json={"token": WRONG_TOKEN, "agent_id": "a"}),
        await visitor.post("/pairing/confirm", json={"token": opened["token"], "agent_id": "not an id!"}),
        await visitor.get("/pairing", headers={"Authorization": f"Bearer {WRONG_TOKEN}"}),
        await visitor.get(f"/telemetry/metrics/x?token={key}", headers={"Authorization": f"Bearer {key}x"}),
    ]
    assert all(httpx.codes.is_client_error(answer.status_code) for answer in refusals)
    installation = json.loads((stack.suite.state / "installation.json").read_bytes())
    secrets = {"password": PASSWORD, "wrong password": WRONG, "key": key, "telemetry token": agent.token}
    secrets |= {
        "provider key": PROVIDER_KEY,
        "session": session,
        "chat token": chat,
        "pairing token": opened["token"],
        "reissued token": reissued,
    }
    secrets |= {f"password of {name} on NATS": one for name, one in installation["passwords"].items()}
    for name, own in installation["services"].items():
        secrets |= {f"{kind} of {name}": own[kind] for kind in ("nats_password", "database_password")}
        secrets[f"private key of {name}"] = own["private_key"].splitlines()[1]
    told = [answer.content + str(answer.headers).encode() for answer in refusals]
    return secrets, [*told, str(refused.value).encode(), json.dumps(socket.heard).encode()]


async def socket_of(stack: Stack, token: str) -> None:
    """Try to come in with a token."""
    async with telemetry_socket(stack.websocket_url, token=token):
        pass


async def every_row(stack: Stack) -> list[bytes]:
    """Read every table of every service."""
    tables = await stack.query(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
    )
    assert len(tables) >= 15
    read = "select t::text as row from {} t"
    return [str(row["row"]).encode() for table in tables for row in await stack.query(read.format(table["name"]))]
