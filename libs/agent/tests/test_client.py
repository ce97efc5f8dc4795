"""Confirming a pairing, over real HTTP."""

import json

import pytest
from agent_doubles import AGENT, TOKEN, Gateway

from shoal_agent.client import confirm_pairing
from shoal_agent.errors import GatewayUnreachableError, InvalidSettingError, PairingRefusedError
from shoal_agent.host import instance_info

SOCKET = "wss://shoal.example/telemetry"


async def test_confirm_sends_the_contracts_request_and_reads_its_answer(gateway: Gateway) -> None:
    gateway.confirms(SOCKET)
    pairing = await confirm_pairing(gateway.url + "/", "clawdnet_pair_x", AGENT, {"os": "linux"})
    assert gateway.asked == [
        {
            "path": "/pairing/confirm",
            "token": "clawdnet_pair_x",
            "agent_id": AGENT,
            "instance_info": {"os": "linux"},
        }
    ]
    assert (pairing.pairing_id, pairing.agent_id, pairing.handle) == ("pair_1", AGENT, "sol")
    assert (pairing.websocket_url, pairing.telemetry_token) == (SOCKET, TOKEN)
    assert pairing.gateway_url == gateway.url
    assert TOKEN not in repr(pairing)


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (400, "invalid_token", "works once"),
        (400, "token_expired", "30 minutes"),
        (429, "rate_limited", "Wait a minute"),
        (409, "something_new", ""),
    ],
)
async def test_refusal_carries_code_message_and_hint(gateway: Gateway, status: int, code: str, hint: str) -> None:
    gateway.refuses(status, code, "No.")
    with pytest.raises(PairingRefusedError) as caught:
        await confirm_pairing(gateway.url, "t", AGENT)
    error = caught.value
    assert (error.code, error.status, error.message, error.request_id) == (code, status, "No.", "req_7")
    assert hint in error.hint
    assert code in str(error)
    assert "req_7" in str(error)


async def test_validation_error_names_the_fields(gateway: Gateway) -> None:
    gateway.refuses(422, "validation_error", "Wrong.", [{"field": "agent_id", "message": "too long"}])
    with pytest.raises(PairingRefusedError, match="agent_id: too long"):
        await confirm_pairing(gateway.url, "t", AGENT)


async def test_error_page_of_a_proxy_is_understood(gateway: Gateway) -> None:
    gateway.answer = (502, {}, b"<html>Bad Gateway</html>")
    with pytest.raises(PairingRefusedError) as caught:
        await confirm_pairing(gateway.url, "t", AGENT)
    assert caught.value.code == "service_unavailable"


async def test_redirect_is_not_followed_with_the_token(gateway: Gateway) -> None:
    gateway.answer = (301, {"location": "https://elsewhere.example/"}, b"")
    with pytest.raises(GatewayUnreachableError, match="elsewhere"):
        await confirm_pairing(gateway.url, "t", AGENT)


@pytest.mark.parametrize(
    "body",
    [b"hello", b"{}", b'{"pairing_id": 1}', json.dumps({"status": "active"}).encode()],
)
async def test_answer_of_another_program_is_no_pairing(gateway: Gateway, body: bytes) -> None:
    gateway.answer = (200, {}, body)
    with pytest.raises(GatewayUnreachableError):
        await confirm_pairing(gateway.url, "t", AGENT)


@pytest.mark.parametrize("changes", [{"websocket_url": "https://x"}, {"pairing_id": "../../etc"}])
async def test_unusable_answer_is_no_pairing(gateway: Gateway, changes: dict) -> None:
    gateway.confirms(SOCKET, **changes)
    with pytest.raises(GatewayUnreachableError):
        await confirm_pairing(gateway.url, "t", AGENT)


async def test_unreachable_gateway_is_told_apart_from_an_unknown_outcome(gateway: Gateway) -> None:
    with pytest.raises(GatewayUnreachableError) as caught:
        await confirm_pairing("http://127.0.0.1:1", "t", AGENT)
    assert not caught.value.is_outcome_unknown


@pytest.mark.parametrize(
    "address", ["shoal.example", "ftp://x", "http://", "https://user:secret@x", "https://x/?a=b", "http://[::1", ""]
)
async def test_wrong_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidSettingError):
        await confirm_pairing(address, "t", AGENT)


@pytest.mark.parametrize("agent_id", ["", "a/b", "ä", "a" * 65])
async def test_wrong_agent_id_is_refused(agent_id: str) -> None:
    with pytest.raises(InvalidSettingError):
        await confirm_pairing("http://x", "t", agent_id)


def test_instance_info_has_the_contracts_fields() -> None:
    assert {"version", "os", "hostname"} <= set(instance_info())
