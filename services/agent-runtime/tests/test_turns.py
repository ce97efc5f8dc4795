"""Messages and their answers, by the model that needs no provider."""

from runtime_door import Door


async def test_agent_answers_and_session_holds_both(door: Door) -> None:
    await door.meet("acct_1")
    agents = (await door.admin.get("/api/agents")).json()
    key = (await door.admin.post("/api/sessions", json={"agent_id": agents[0]["id"]})).json()["key"]

    answer = await door.admin.post(f"/api/sessions/{key}/messages", json={"content": "Hello"})

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["role"], told["status"], told["tool_calls"]) == ("assistant", "completed", [])
    assert "offline/rules" in told["content"]
    session = (await door.admin.get(f"/api/sessions/{key}")).json()
    assert [message["role"] for message in session["messages"]] == ["user", "assistant"]
    assert session["messages"][1]["content"] == told["content"]
    assert session["message_count"] == 2
