"""Confirming a pairing: the one HTTP call that an agent makes.

A running agent does without this module: its HTTP client takes 8 MB and 0.2 s to load.
"""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from shoal_agent.errors import GatewayUnreachableError, InvalidSettingError, PairingRefusedError
from shoal_agent.pairing import ID, Pairing, check_agent_id


class _Agent(Struct, frozen=True):
    id: str
    handle: str | None = None


class _Confirmed(Struct, frozen=True):
    pairing_id: str
    agent: _Agent
    websocket_url: str
    telemetry_token: str
    created_at: str = ""


class _Problem(Struct, frozen=True):
    code: str = ""
    message: str = ""
    details: list[dict[str, Any]] | dict[str, Any] = []


class _Refusal(Struct, frozen=True):
    error: _Problem = _Problem()
    detail: Any = None
    request_id: str = ""


async def confirm_pairing(
    gateway_url: str,
    token: str,
    agent_id: str,
    info: Mapping[str, str] | None = None,
    *,
    handle: str | None = None,
    timeout_s: float = 20.0,
) -> Pairing:
    """Trade a pairing token for a telemetry token.

    Args:
        gateway_url: Where the gateway is, such as `https://shoal.example`.
        token: The pairing token that the dashboard shows; it works once, within 30 minutes.
        agent_id: The agent to pair, `[A-Za-z0-9_-]{1,64}`. Keep it: a repeated call needs the same one.
        info: What to tell about this machine, see `shoal_agent.host.instance_info`.
        handle: How the agent would like to be called.
        timeout_s: How long to wait for the answer.

    Raises:
        InvalidSettingError: The address or the agent id cannot be used.
        PairingRefusedError: The server answered with an error.
        GatewayUnreachableError: No usable answer came.
    """
    gateway = gateway_address(gateway_url)
    check_agent_id(agent_id)
    body = {"token": token, "agent_id": agent_id, "instance_info": dict(info or {})}
    if handle is not None:
        body["handle"] = handle
    response = await _post(gateway, "/pairing/confirm", body, timeout_s)
    if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
        raise _refusal(gateway, response)
    try:
        confirmed = msgspec.json.decode(response.content, type=_Confirmed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GatewayUnreachableError(gateway, f"the answer is not a confirmed pairing ({error})") from error
    return _pairing(gateway, confirmed)


def gateway_address(url: str) -> str:
    """Return the address without a trailing slash.

    Raises:
        InvalidSettingError: It is not an http(s) address, or holds a user name or a query.
    """
    try:
        address = httpx.URL(url.strip().rstrip("/"))
    except httpx.InvalidURL as error:
        raise InvalidSettingError("gateway", f"{url!r} is not an address ({error})") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise InvalidSettingError("gateway", f"{url!r} is not an address; write https://host or http://host:port")
    if address.userinfo or address.query or address.fragment:
        raise InvalidSettingError("gateway", "write the address alone: no user name, no query")
    return str(address)


async def _post(gateway: str, path: str, body: object, timeout_s: float) -> httpx.Response:
    try:
        async with httpx.AsyncClient(timeout=timeout_s) as client:
            return await client.post(gateway + path, json=body)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise GatewayUnreachableError(gateway, str(error) or "timed out") from error
    except httpx.HTTPError as error:
        problem = str(error) or type(error).__name__
        raise GatewayUnreachableError(gateway, problem, is_outcome_unknown=True) from error


def _refusal(gateway: str, response: httpx.Response) -> Exception:
    """Read whatever error the server sent; it may be a proxy's page."""
    if response.is_redirect:
        target = response.headers.get("location", "nowhere")
        return GatewayUnreachableError(gateway, f"it redirects to {target}; use that address")
    try:
        refusal = msgspec.json.decode(response.content, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        refusal = _Refusal()
    status, error = response.status_code, refusal.error
    fallback = refusal.detail if isinstance(refusal.detail, str) else response.reason_phrase
    message = "; ".join([error.message or fallback, *_fields(error)])
    code = error.code or {404: "not_found", 429: "rate_limited", 502: "service_unavailable"}.get(status)
    return PairingRefusedError(code or f"http_{status}", message, status, refusal.request_id)


def _fields(error: _Problem) -> list[str]:
    details = error.details if isinstance(error.details, list) else []
    return [f"{item.get('field')}: {item.get('message')}" for item in details if item.get("field")]


def _pairing(gateway: str, confirmed: _Confirmed) -> Pairing:
    if not confirmed.websocket_url.startswith(("ws://", "wss://")):
        raise GatewayUnreachableError(gateway, "the answer names no ws:// or wss:// address for telemetry")
    if not (ID.fullmatch(confirmed.pairing_id) and ID.fullmatch(confirmed.agent.id)):
        raise GatewayUnreachableError(gateway, "the answer names no usable pairing and agent")
    return Pairing(
        gateway_url=gateway,
        pairing_id=confirmed.pairing_id,
        agent_id=confirmed.agent.id,
        handle=confirmed.agent.handle,
        websocket_url=confirmed.websocket_url,
        telemetry_token=confirmed.telemetry_token,
        created_at=confirmed.created_at,
    )
