"""`POST /telemetry/ingest`: many frames in one request, each taken or refused on its own, answered once stored."""

import gzip
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from shoal.identity import Principal, Via
from shoal.testing.suite import user

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/telemetry/ingest"


def agents_own(paired: Any) -> Principal:
    return Principal(
        via=Via.TELEMETRY_TOKEN, account_id=paired.account_id, user_id="user_1", agent_id=paired.agent_id,
        pairing_id=paired.pairing_id, credential_id=paired.pairing_id, source="127.0.0.1",
    )  # fmt: skip


async def test_items_are_taken_and_refused_each_on_its_own(shared) -> None:
    agent, foreign = await shared.fresh_agent(), await shared.fresh_agent()
    items = [
        agent.metrics(seq=1),
        {"type": "nonsense", "seq": 2},
        foreign.metrics(seq=3),
        7,
        agent.metrics(seq=5, at=datetime(1970, 1, 1, tzinfo=UTC)),
        agent.metrics(seq=6),
        agent.metrics(seq=7) | {"agent_id": 7},
    ]
    answer = await shared.ingest.client(agents_own(agent)).post(PATH, json={"epoch": "boot_1", "items": items})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["accepted"], told["refused"], told["last_seq"]) == (2, 5, 7)
    assert [(item["index"], item.get("seq"), item["error"]["code"]) for item in told["results"]] == [
        (1, 2, "unknown_type"),
        (2, 3, "agent_not_yours"),
        (3, None, "invalid_frame"),
        (4, 5, "timestamp_out_of_range"),
        (6, 7, "invalid_frame"),
    ]
    assert all(item["error"]["message"] for item in told["results"])
    assert told["results"][-1]["error"]["message"] == "agent_id: Expected `string`, got `integer`"
    stored = [(epoch, s.seq) for _, agent_id, epoch, s in await shared.samples() if agent_id == agent.agent_id]
    assert stored == [("boot_1", 1), ("boot_1", 6)]


async def test_user_posts_for_agents_of_the_account_without_numbers(shared) -> None:
    agent = await shared.fresh_agent()
    await shared.known(agent)
    answer = await shared.ingest.client(user(agent.account_id)).post(PATH, json=[agent.metrics(), agent.metrics()])
    assert answer.json() == {"accepted": 2, "refused": 0, "results": []}
    assert [sample.seq for sample in await shared.samples_of(agent)] == [1, 2]


async def test_lines_and_gzip_are_read(shared) -> None:
    agent = await shared.fresh_agent()
    client = shared.ingest.client(agents_own(agent))
    lines = b"\n".join(msgspec.json.encode(agent.metrics(seq=number)) for number in (1, 2)) + b"\nnot json\n\n"
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    answer = await client.post(PATH, content=gzip.compress(lines), headers=headers, params={"epoch": "boot_2"})
    told = answer.json()
    assert (told["accepted"], told["refused"], told["results"][0]["index"]) == (2, 1, 2)
    body = msgspec.json.encode({"items": [agent.metrics(seq=3)], "epoch": "boot_2"})
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await client.post(PATH, content=gzip.compress(body), headers=headers)).json()["last_seq"] == 3
    assert [sample.seq for sample in await shared.samples_of(agent)] == [1, 2, 3]


JSON = {"content-type": "application/json"}
BOMB = gzip.compress(b" " * 64 * 1024 * 1024)
BAD: list[tuple[bytes, dict[str, str], int]] = [
    (b"", JSON, 422),
    (b"nul", JSON, 422),
    (b'{"items":7}', JSON, 422),
    (b'{"items":[],"epoch":"a b"}', JSON, 422),
    (b'{"items":[' + b"[" * 100_000, JSON, 422),
    (b"[]", {"content-type": "text/plain"}, 415),
    (b"[]", JSON | {"content-encoding": "br"}, 415),
    (b"[]", JSON | {"content-encoding": "gzip"}, 400),
    (gzip.compress(b"[]")[:-4], JSON | {"content-encoding": "gzip"}, 400),
    (BOMB, JSON | {"content-encoding": "gzip"}, 413),
    (b" " * (4 * 1024 * 1024 + 1), JSON, 413),
    (b"[" + b"7," * 10_000 + b"7]", JSON, 413),
]


@pytest.mark.parametrize(("body", "headers", "status"), BAD, ids=range(len(BAD)))
async def test_bad_requests_are_refused_whole(shared, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = await shared.ingest.client(user()).post(PATH, content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "query", "field", "message"),
    [
        *((body, "", "", "The body must be a JSON object or array.") for body in (b"null", b"7", b'"x"')),
        (b"nul", "", "", "The body is not JSON."),
        (b"{}", "", "items", "This field is needed."),
        (b'{"items":7}', "", "items", "Expected `array`, got `integer`"),
        (b'{"items":[],"epoch":7}', "", "epoch", "Expected `string | null`, got `integer`"),
        (b'{"items":[],"epoch":"a b"}', "", "epoch", "Must match ^[A-Za-z0-9_-]{1,64}$"),
        (b"[]", "?epoch=a+b", "epoch", "Must match ^[A-Za-z0-9_-]{1,64}$"),
    ],
)
async def test_refusal_of_a_body_names_its_field(shared, body: bytes, query: str, field: str, message: str) -> None:
    answer = await shared.ingest.client(user()).post(PATH + query, content=body, headers=JSON)
    told = answer.json()["error"]
    assert (answer.status_code, told["details"]) == (422, [{"field": field, "message": message}])
    assert told["message"] == (f"{field}: {message}" if field else message)


async def test_nobody_in_particular_posts_nothing(shared) -> None:
    for who in (Principal(source="127.0.0.1"), Principal(via=Via.AGENT_KEY, account_id="acct_1", agent_id="agent_1")):
        answer = await shared.ingest.client(who).post(PATH, json=[])
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "auth_required")


async def test_agent_of_an_ended_pairing_posts_nothing(shared) -> None:
    agent = await shared.fresh_agent()
    await shared.known(agent)
    await shared.pairing.client(user(agent.account_id)).delete(f"/pairing/{agent.pairing_id}")
    row = "select ended_at is not null from telemetry_ingest.pairing where id = $1"
    await shared.until_rows(row, True, agent.pairing_id)
    answer = await shared.ingest.client(agents_own(agent)).post(PATH, json=[agent.metrics()])
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")
