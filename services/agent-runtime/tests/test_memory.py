"""Memory, through the door."""

from typing import Any

from runtime_door import Door

NOTES = {
    "pattern-auth": ("JWT with refresh tokens", "patterns", ["auth", "jwt"]),
    "config-postgres": ("Connection pool size 20, statement timeout 5 s", "config", ["postgres"]),
    "ops-deploy": ("Deploying on Fridays needs two approvals", "operations", ["deploy", "staging"]),
    "metrics-latency": ("The p99 of the gateway was 12 ms in October", "metrics", []),
}


async def keep_notes(door: Door) -> None:
    for key, (value, namespace, tags) in NOTES.items():
        body = {"key": key, "value": value, "namespace": namespace, "tags": tags}
        assert (await door.alice.post("/api/memory", json=body)).status_code == 200


async def search(door: Door, asked: str, **more: Any) -> dict[str, float]:
    answer = await door.alice.get("/api/memory/search", params={"q": asked, **more})
    assert answer.status_code == 200, answer.text
    return {found["key"]: found["similarity"] for found in answer.json()}


async def test_entries_are_kept_listed_replaced_and_forgotten(door: Door) -> None:
    await keep_notes(door)
    listed = (await door.alice.get("/api/memory")).json()
    assert [entry["key"] for entry in listed] == list(reversed(NOTES))
    assert listed[-1].keys() == {"key", "value", "namespace", "tags", "updated_at"}
    assert listed[-1]["tags"] == ["auth", "jwt"]
    again = await door.alice.post("/api/memory", json={"key": "pattern-auth", "value": "new", "tags": ["a", "a"]})
    assert again.json() | {"updated_at": ""} == {
        "key": "pattern-auth",
        "value": "new",
        "namespace": "default",
        "tags": ["a"],
        "updated_at": "",
    }
    assert next(iter((await door.alice.get("/api/memory")).json()))["key"] == "pattern-auth"
    assert len((await door.alice.get("/api/memory", params={"namespace": "config"})).json()) == 1
    assert len((await door.alice.get("/api/memory", params={"tag": "deploy"})).json()) == 1
    assert (await door.alice.delete("/api/memory/pattern-auth")).json() == {"success": True}
    gone = await door.alice.delete("/api/memory/pattern-auth")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "memory_not_found")
    assert (await door.alice.get("/api/memory/pattern-auth")).status_code == 404


async def test_search_finds_words_other_spellings_and_parts_and_respects_the_threshold(door: Door) -> None:
    await keep_notes(door)
    assert (await search(door, "pattern-auth"))["pattern-auth"] == 1.0
    assert (await search(door, "auth", threshold=0.8)).keys() == {"pattern-auth"}
    assert (await search(door, "refresh tokens", threshold=0.8)).keys() == {"pattern-auth"}
    deployed = await search(door, "deployed")
    assert 0.4 <= deployed["ops-deploy"] < 0.8
    assert await search(door, "deployed", threshold=0.8) == {}
    assert 0.4 <= (await search(door, "postgress"))["config-postgres"] < 0.8
    assert 0.3 <= (await search(door, "gateway latency of the scheduler"))["metrics-latency"] < 0.8
    assert (await search(door, "approvals for deploys on friday"))["ops-deploy"] >= 0.7
    assert (await search(door, "auth", namespace="config")) == {}
    await door.alice.post("/api/memory", json={"key": "Maße", "value": "Die GRÖSSE:  \uff11 Meter"})
    for asked in ("maße", "MASSE", "größe", "grösse", "1 meter"):
        assert (await search(door, asked, threshold=0.8)).keys() == {"Maße"}, asked
    assert await search(door, "") == {}
    order = list((await search(door, "postgres deploy staging")).items())
    assert order == sorted(order, key=lambda one: -one[1])


async def test_what_has_nothing_to_do_with_it_scores_below_three_tenths(door: Door) -> None:
    await keep_notes(door)
    for asked in ("weather in Paris tomorrow", "my grandmother's apple cake", "xyzzy", "!!!", "zebra"):
        assert all(similarity < 0.3 for similarity in (await search(door, asked)).values()), asked


async def test_keys_may_hold_any_sign(door: Door) -> None:
    for key in ("notes/2026/plan", "a b?c#d%", "größe", "...", "search"):
        assert (await door.alice.post("/api/memory", json={"key": key, "value": "v"})).status_code == 200
        coded = "".join(f"%{byte:02X}" for byte in key.encode())
        if key != "search":
            assert (await door.alice.get(f"/api/memory/{coded}")).json()["key"] == key
        assert (await door.alice.delete(f"/api/memory/{coded}")).status_code == 200, key


async def test_accounts_do_not_see_each_other(door: Door) -> None:
    await keep_notes(door)
    assert (await door.stranger.get("/api/memory")).json() == []
    assert (await door.stranger.get("/api/memory/search", params={"q": "auth"})).json() == []
    assert (await door.stranger.delete("/api/memory/pattern-auth")).status_code == 404
    assert (await door.stranger.post("/api/memory", json={"key": "pattern-auth", "value": "mine"})).status_code == 200
    assert (await door.alice.get("/api/memory/pattern-auth")).json()["value"] == "JWT with refresh tokens"
    for method, path in (("GET", ""), ("GET", "/search?q=a"), ("DELETE", "/x")):
        assert (await door.nobody.request(method, f"/api/memory{path}")).status_code == 401


async def test_what_cannot_be_kept_is_refused_with_400(door: Door) -> None:
    refused: list[dict[str, Any]] = [
        {},
        {"key": "k"},
        {"key": "", "value": "v"},
        {"key": "  ", "value": "v"},
        {"key": "k" * 257, "value": "v"},
        {"key": "k", "value": "v" * 65537},
        {"key": "k", "value": "ü" * 40000},
        {"key": "k", "value": 1},
        {"key": "k", "value": "v", "tags": None},
        {"key": "k", "value": "v", "tags": [""]},
        {"key": "k", "value": "v", "tags": ["t"] * 33},
        {"key": "k", "value": "v", "namespace": ""},
        {"key": "k", "value": "v", "account_id": "acct_2"},
        {"key": "k", "value": "nul \x00"},
        {"key": "/k", "value": "v"},
        {"key": "k//k", "value": "v"},
        {"key": "../k", "value": "v"},
    ]
    for body in refused:
        assert (await door.alice.post("/api/memory", json=body)).status_code == 400, body
    for query in ("threshold=2", "threshold=nan", "threshold=x", "limit=0", "limit=1000000000", f"q={'x' * 501}"):
        assert (await door.alice.get(f"/api/memory/search?{query}")).status_code == 400, query
    assert (await door.alice.get("/api/memory/search", params={"q": "\x00"})).status_code == 400
