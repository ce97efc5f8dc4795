"""A cluster for the orchestrator."""

import base64
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from api_double import ApiDouble
from orchestrator_door import Door, Open


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[ApiDouble]:
    """A cluster that is strict: what it was asked and does not know fails the test."""
    made = ApiDouble()
    await made.start()
    yield made
    await made.stop()
    assert made.violations == []


@pytest_asyncio.fixture
async def settings(cluster: ApiDouble, tmp_path: Path) -> dict[str, str]:
    key = base64.b64encode(os.urandom(32)).decode()
    return {
        "SHOAL_INSTANCE_BACKEND": "kubernetes",
        "SHOAL_NODE_ADDRESS": "192.0.2.7",
        "INSTANCE_ORCHESTRATOR_KUBECONFIG": cluster.kubeconfig(tmp_path),
        "INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY": f"k1:{key}",
        "INSTANCE_ORCHESTRATOR_RESYNC": "1s",
    }


@pytest_asyncio.fixture
async def door(open_door: Open, settings: dict[str, str]) -> Door:
    return await open_door(**settings)
