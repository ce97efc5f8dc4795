"""The agent as a library: pairing, streaming, and what it does when it is refused."""

import asyncio
import logging
import os
from pathlib import Path

import pytest
from agent_doubles import AGENT, TOKEN, Gateway, Ingest, eventually, pairing_with

from shoal_agent import Agent, StreamState, pair
from shoal_agent.errors import AlreadyRunningError, InvalidSettingError, NotPairedError
from shoal_agent.state import StateDirectory


def open_agent(state: StateDirectory, interval_s: float = 0.1) -> Agent:
    return Agent.open(state.path, interval_s=interval_s)


def state_of(agent: Agent) -> StreamState | None:
    return agent.report.stream.state if agent.report else None


async def test_life_of_an_agent_from_online_to_offline(ingest: Ingest, paired: StateDirectory) -> None:
    async with open_agent(paired):
        await eventually(lambda: len(ingest.of_type("metrics")) >= 3)
    assert [frame["status"] for frame in ingest.of_type("status")] == ["online", "offline"]
    assert ingest.of_type("metrics")[-1]["data"]["memory_mb"] > 0
    report = paired.report()
    assert report is not None
    assert (report.stream.state, report.journal.pending) == (StreamState.STOPPED, 0)


async def test_work_of_the_program_reaches_the_server(ingest: Ingest, paired: StateDirectory) -> None:
    async with open_agent(paired) as agent:
        agent.record_message(850, skill="image-generation", revenue="0.02")
        agent.record_tokens(1480)
        agent.record_sessions(3)
        await eventually(lambda: state_of(agent) is StreamState.STREAMING)
        await asyncio.to_thread(agent.record_error, "skill_failure", "Model timeout", "image-generation")
    metrics = ingest.of_type("metrics")[-1]["data"]
    assert (metrics["messages_1h"], metrics["active_sessions"], metrics["avg_response_ms"]) == (1, 3, 850)
    assert (metrics["revenue_total"], metrics["errors_total"], metrics["tokens_total"]) == ("0.02", 1, 1480)
    assert sum(len(frame["data"].get("response_ms", [])) for frame in ingest.of_type("metrics")) == 1
    assert ingest.of_type("error")[0]["data"] == {
        "error_type": "skill_failure",
        "message": "Model timeout",
        "skill": "image-generation",
    }
    assert ingest.of_type("skills")[-1]["data"]["image-generation"]["calls_1h"] == 1


async def test_pair_keeps_a_private_pairing_and_the_agent_id(gateway: Gateway, ingest: Ingest, tmp_path: Path) -> None:
    gateway.confirms(ingest.url)
    await pair(tmp_path / "new", gateway.url, "token-1", handle="sol")
    await pair(tmp_path / "new", gateway.url, "token-2")
    first, second = gateway.asked
    assert first["agent_id"] == second["agent_id"]
    assert (first["handle"], "handle" in second) == ("sol", False)
    path = tmp_path / "new" / "pairing.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert TOKEN in path.read_text()


async def test_pair_streams_to_the_very_gateway_where_it_is_asked_to(gateway: Gateway, tmp_path: Path) -> None:
    gateway.confirms("wss://shoal.example/telemetry")
    assert (await pair(tmp_path, gateway.url, "token")).websocket_url == "wss://shoal.example/telemetry"
    near = await pair(tmp_path, gateway.url, "token", is_direct=True)
    assert near.websocket_url == f"ws{gateway.url.removeprefix('http')}/telemetry"
    assert StateDirectory.at(tmp_path).pairing() == near


async def test_refused_pair_leaves_the_old_pairing(gateway: Gateway, paired: StateDirectory) -> None:
    gateway.refuses(400, "invalid_token", "Unknown token.")
    before = paired.pairing()
    with pytest.raises(Exception, match="invalid_token"):
        await pair(paired.path, gateway.url, "t")
    assert paired.pairing() == before


async def test_unpaired_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotPairedError):
        async with Agent.open(tmp_path):
            pass


async def test_state_directory_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_AGENT_STATE", str(tmp_path / "there"))
    assert StateDirectory.at().path == tmp_path / "there"
    monkeypatch.delenv("SHOAL_AGENT_STATE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert StateDirectory.at().path == tmp_path / ".shoal-agent"


async def test_second_agent_on_one_directory_is_refused(ingest: Ingest, paired: StateDirectory) -> None:
    async with open_agent(paired):
        with pytest.raises(AlreadyRunningError):
            async with open_agent(paired):
                pass
        assert paired.is_locked()
    assert not paired.is_locked()


@pytest.mark.parametrize("interval_s", [0, -1, 0.01, float("nan")])
async def test_too_short_an_interval_is_refused(tmp_path: Path, interval_s: float) -> None:
    with pytest.raises(InvalidSettingError):
        Agent.open(tmp_path, interval_s=interval_s)


async def test_frames_taken_while_the_server_was_away_arrive_later(ingest: Ingest, paired: StateDirectory) -> None:
    await ingest.stop()
    async with open_agent(paired) as agent:
        agent.record_error("outage", "nobody listens")
        await eventually(lambda: agent.report is not None and agent.report.journal.pending > 5)
    await ingest.start()
    async with open_agent(paired) as agent:
        await eventually(lambda: state_of(agent) is StreamState.STREAMING)
    assert ingest.seqs == list(range(1, len(ingest.seqs) + 1))
    assert [frame["status"] for frame in ingest.of_type("status")] == ["online", "offline"] * 2
    assert len(ingest.of_type("error")) == 1
    assert len(ingest.epochs) == 1


async def test_deleted_pairing_stops_streaming_and_not_the_program(
    ingest: Ingest, paired: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    ingest.behaviour.close_after = (2, 4409)
    async with open_agent(paired) as agent:
        with caplog.at_level(logging.ERROR):
            await eventually(lambda: state_of(agent) is StreamState.UNPAIRED)
        assert "pair again" in caplog.text
        agent.record_message(10)
        agent.record_error("still", "alive")
        await asyncio.sleep(0.3)
        assert ingest.sockets == 1
        report = paired.report()
        assert report is not None
        assert report.stream.state is StreamState.UNPAIRED


async def test_pairing_anew_resumes_a_running_agent_with_a_new_epoch(
    gateway: Gateway, ingest: Ingest, paired: StateDirectory
) -> None:
    ingest.behaviour.close_after = (2, 4409)
    async with open_agent(paired) as agent:
        await eventually(lambda: state_of(agent) is StreamState.UNPAIRED)
        gateway.confirms(ingest.url, pairing_id="pair_2")
        await pair(paired.path, gateway.url, "token")
        await eventually(lambda: state_of(agent) is StreamState.STREAMING)
    assert len(ingest.epochs) == 2


async def test_frames_of_one_pairing_never_reach_another(ingest: Ingest, paired: StateDirectory) -> None:
    await ingest.stop()
    async with open_agent(paired) as agent:
        agent.record_error("secret", "of the first dashboard")
    await ingest.start()
    paired.save_pairing(pairing_with(ingest, "pair_2"))
    async with open_agent(paired) as agent:
        await eventually(lambda: state_of(agent) is StreamState.STREAMING)
    assert ingest.of_type("error") == []
    assert [path.name for path in paired.path.glob("journal-*")] == ["journal-pair_2"]


async def test_unpairing_a_running_agent_ends_its_stream(ingest: Ingest, paired: StateDirectory) -> None:
    async with open_agent(paired) as agent:
        await eventually(lambda: state_of(agent) is StreamState.STREAMING)
        paired.remove_pairing()
        await eventually(lambda: state_of(agent) is StreamState.STOPPED)
        await eventually(lambda: not list(paired.path.glob("journal-*")))


async def test_full_disk_disturbs_nobody(
    ingest: Ingest, paired: StateDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    async with open_agent(paired) as agent:
        await eventually(lambda: ingest.of_type("metrics"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            agent.record_error("lost", "for want of space")
            agent.record_error("lost", "for want of space")
        agent.record_error("kept", "there is space again")
        await eventually(lambda: ingest.of_type("error"))
    assert [frame["data"]["error_type"] for frame in ingest.of_type("error")] == ["kept"]
    assert caplog.text.count("frames are being lost") == 1


async def test_agent_says_who_it_is(ingest: Ingest, paired: StateDirectory) -> None:
    async with open_agent(paired) as agent:
        assert agent.agent_id == AGENT
