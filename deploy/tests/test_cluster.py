"""The chart on a real API server, where one is given by SHOAL_TEST_KUBECONFIG; its nodes need no images for that."""

import os
from pathlib import Path
from uuid import uuid4

import helm_python as helm
import pytest
from chart import CHART


@pytest.mark.timeout(300)
def test_chart_installs_upgrades_and_uninstalls_on_a_real_api_server() -> None:
    given = os.environ.get("SHOAL_TEST_KUBECONFIG")
    if not given:
        pytest.skip("THE CHART WAS NOT INSTALLED: SHOAL_TEST_KUBECONFIG names no cluster")
    namespace = f"shoal-{uuid4().hex[:8]}"
    values = {"nats": {"readers": {"enabled": False}}}  # its hook waits for pods, which a bare API server never runs
    with helm.Config(namespace=namespace, kubeconfig_path=Path(given)) as config:
        made = config.install(str(CHART), "shoal", values, create_namespace=True)
        try:
            assert made["status"] == "deployed"
            again = config.upgrade(str(CHART), "shoal", {**values, "gateway": {"replicas": 3}})
            assert (again["revision"], again["status"]) == (2, "deployed")
        finally:
            config.uninstall("shoal")
