"""A cluster for the orchestrator: the double, or a real API server where one is given (see the service's README)."""

import base64
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from api_relay import Cluster
from api_servers import ASSETS, GIVEN, bare_server, double, namespace_of, real_server
from orchestrator_door import Door, Open

ONLY_DOUBLE = {
    "test_logs.py": ({GIVEN, ASSETS}, "what a pod says can be chosen only where the double says it"),
    "test_values_relax_what_an_image_cannot_do_without": ({GIVEN}, "no node has its image and storage class"),
    "test_a_volume_keeps_its_class_when_the_setting_goes_and_grows_all_the_same": ({GIVEN}, "its class is played"),
}
"""Tests that a real server cannot serve, by file or name: which server, and why."""
UNSERVED = pytest.StashKey[dict[str, str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unserved = config.stash.setdefault(UNSERVED, {})
    for item in items:
        servers, why = ONLY_DOUBLE.get(item.path.name) or ONLY_DOUBLE.get(item.name) or (set(), "")
        if item.path.parent == Path(__file__).parent and real_server() in servers:
            unserved[item.nodeid] = why
            item.add_marker(pytest.mark.skip(reason=f"NOT RUN ON A REAL API SERVER: {why}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if name := real_server():
        terminalreporter.section(f"Kubernetes API server of {name}")
        for test, why in config.stash.get(UNSERVED, {}).items():
            terminalreporter.line(f"NOT RUN: {test}: {why}")


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A kubeconfig for a real API server; empty when none is asked for."""
    asked = real_server()
    if asked == GIVEN:
        yield os.environ[GIVEN]
    elif asked == ASSETS:
        with bare_server(Path(os.environ[ASSETS]), tmp_path_factory.mktemp("kubernetes")) as made:
            yield made
    else:
        yield ""


@pytest_asyncio.fixture
async def cluster(kubeconfig: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster that is strict: what it was asked and does not know fails the test."""
    async with namespace_of(kubeconfig, tmp_path) if kubeconfig else double(tmp_path) as server:
        made = Cluster(server)
        await made.start()
        yield made
        await made.stop()
        assert made.violations == []


@pytest_asyncio.fixture
async def settings(cluster: Cluster, tmp_path: Path) -> dict[str, str]:
    key = base64.b64encode(os.urandom(32)).decode()
    return {
        "SHOAL_INSTANCE_BACKEND": "kubernetes",
        "SHOAL_INSTANCE_IMAGE": os.environ.get("SHOAL_INSTANCE_IMAGE", "shoal-instance:0.1.0"),
        "SHOAL_NODE_ADDRESS": "192.0.2.7",
        "INSTANCE_ORCHESTRATOR_NAMESPACE": cluster.namespace,
        "INSTANCE_ORCHESTRATOR_KUBECONFIG": cluster.kubeconfig(tmp_path),
        "INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY": f"k1:{key}",
        "INSTANCE_ORCHESTRATOR_RESYNC": "1s",
    }


@pytest_asyncio.fixture
async def door(open_door: Open, settings: dict[str, str]) -> Door:
    return await open_door(**settings)
