"""The cluster of these tests refuses what a cluster refuses."""

from pathlib import Path

import pytest
from api_checks import check_change, check_object
from api_fields import entry_of, kept, without_empty
from api_hand import Hand
from api_objects import RefusalError, applied, canonical, check_schema
from api_relay import Cluster


def service(node_port: object = 30100, name: str = "a") -> dict:
    ports = [{"name": "x", "port": 80, "nodePort": node_port}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}}


def claim(size: str, mode: str = "ReadWriteOnce") -> dict:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": "a"}, "spec": spec}


def test_objects_are_read_strictly() -> None:
    check_schema(service())
    for wrong in (service("thirty"), service() | {"extra": 1}, service() | {"spec": {"ports": [{"nodeport": 1}]}}):
        with pytest.raises(RefusalError):
            check_schema(wrong)


def test_a_node_port_is_one_services() -> None:
    there = {("services", "a"): service()}
    check_object("services", service(), there)
    for wrong, why in ((service(name="b"), "already allocated"), (service(80), "not in the valid range")):
        with pytest.raises(RefusalError, match=why):
            check_object("services", wrong, there)


def test_volumes_only_grow_once_they_are_bound_and_selectors_stay() -> None:
    bound = claim("1Gi") | {"status": {"phase": "Bound"}}
    check_change("persistentvolumeclaims", bound, claim("2Gi"))
    for before, after in ((bound, claim("1Mi")), (bound, claim("1Gi", "ReadWriteMany")), (claim("1Gi"), claim("2Gi"))):
        with pytest.raises(RefusalError, match="Forbidden"):
            check_change("persistentvolumeclaims", before, after)
    with pytest.raises(RefusalError, match="immutable"):
        check_change(
            "deployments",
            {"metadata": {}, "spec": {"selector": 1}},
            {"metadata": {"name": "a"}, "spec": {"selector": 2}},
        )


def test_apply_takes_back_what_is_no_longer_said_and_leaves_what_others_said() -> None:
    live = {"data": {"mine": "1", "gone": "2", "theirs": "3"}}
    before = {"data": {"mine": "1", "gone": "2"}}
    assert applied(live, before, {"data": {"mine": "4"}}) == {"data": {"mine": "4", "theirs": "3"}}


def test_what_is_applied_is_listed_by_field_and_by_item() -> None:
    ports = [{"port": 80, "protocol": "TCP", "name": "x"}]
    said = {"apiVersion": "v1", "metadata": {"name": "a", "labels": {"b": "c"}}, "spec": {"ports": ports, "args": [1]}}
    item = {".": {}, "f:port": {}, "f:protocol": {}, "f:name": {}}
    assert entry_of("us", said)["fieldsV1"] == {
        "f:metadata": {"f:labels": {"f:b": {}}},
        "f:spec": {"f:ports": {'k:{"port": 80, "protocol": "TCP"}': item}, "f:args": {}},
    }


def test_what_somebody_else_writes_becomes_theirs() -> None:
    said = {"metadata": {"name": "a"}, "data": {"same": "1", "changed": "2", "dropped": "3"}}
    after = {"metadata": {"name": "a"}, "data": {"same": "1", "changed": "4", "theirs": "5"}}
    assert kept(said, said, after) == {"metadata": {"name": "a"}, "data": {"same": "1"}}


def test_what_is_empty_is_not_stored_where_nothing_hangs_on_it() -> None:
    assert without_empty({"data": {}, "args": [], "volumes": [{"emptyDir": {}}]}) == {"volumes": [{"emptyDir": {}}]}


def test_quantities_are_stored_in_their_shortest_form() -> None:
    given = {"cpu": "2000m", "memory": "4096Mi", "storage": "5Gi", "name": "2000m"}
    assert canonical(given) == {"cpu": "2", "memory": "4Gi", "storage": "5Gi", "name": "2000m"}


async def test_the_relay_passes_on_nothing_but_what_instances_need(cluster: Cluster, tmp_path: Path) -> None:
    orchestrator = Hand(cluster.kubeconfig(tmp_path), cluster.namespace)
    await orchestrator.open()
    root = f"/api/v1/namespaces/{cluster.namespace}"
    calls = [("GET", f"{root}/secrets"), ("POST", f"{root}/pods"), ("PUT", f"{root}/pods/a"),
             ("DELETE", f"{root}/pods"), ("PATCH", f"{root}/pods/a"), ("GET", "/api/v1/nodes")]  # fmt: skip
    for method, path in calls:
        with pytest.raises(RefusalError):
            await orchestrator.ask(method, path, {})
    assert [one.partition(":")[0] for one in cluster.violations] == [f"{method} {path}" for method, path in calls]
    cluster.violations.clear()
    await orchestrator.close()


async def test_the_orchestrators_account_may_what_instances_need_and_nothing_more(cluster: Cluster) -> None:
    root, deployments = f"/api/v1/namespaces/{cluster.namespace}", f"/apis/apps/v1/namespaces/{cluster.namespace}"
    for path in (f"{root}/pods", f"{root}/services", f"{root}/persistentvolumeclaims", f"{deployments}/deployments"):
        assert (await cluster.account.ask("GET", path))["items"] == []
    calls = [("GET", f"{root}/secrets"), ("POST", f"{root}/pods"), ("DELETE", f"{root}/pods/a"),
             ("PUT", f"{root}/configmaps/a"), ("GET", f"{root}/pods/a"), ("GET", "/api/v1/nodes"),
             ("GET", "/api/v1/namespaces/kube-system/pods")]  # fmt: skip
    for method, path in calls:
        with pytest.raises(RefusalError, match="forbidden"):
            await cluster.account.ask(method, path, {})
