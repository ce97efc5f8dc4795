"""The service with a scripted provider, and agents on its models."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from provider_double import ProviderDouble
from runtime_door import Door, door_of
from runtime_talk import Talk

from shoal.installation import Installation
from shoal.testing.servers import TestDatabases

KEY = "sk-CANARY-provider-key"
FORMATS = pytest.mark.parametrize("provider", ["openai", "anthropic", "local"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def double() -> AsyncIterator[ProviderDouble]:
    async with ProviderDouble().serving() as double:
        yield double


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model_door(
    databases: TestDatabases, installation: Installation, double: ProviderDouble
) -> AsyncIterator[Door]:
    settings = {"SHOAL_OUTGOING_ALLOWED": f"127.0.0.1:{double.port}", "AGENT_RUNTIME_MODEL_TIMEOUT": "1s"}
    async with door_of(databases, installation, settings) as door:
        yield door


async def begin(door: Door, double: ProviderDouble, provider: str, **agent: Any) -> Talk:
    """Begin to talk with an agent on a model of the double."""
    talk = await Talk.begin(door, model=f"{provider}/double-1", tools={"*": "auto"}, **agent)
    await configure(talk, double)
    return talk


async def configure(talk: Talk, double: ProviderDouble) -> None:
    config = (await talk.client.get("/api/config")).json()
    for name in ("openai", "anthropic", "local"):
        base = double.anthropic_base if name == "anthropic" else double.openai_base
        config["providers"][name] = {"api_base": base, "enabled": True, "api_key": KEY}
    answer = await talk.client.put("/api/config", json=config)
    assert answer.status_code == 200, answer.text
