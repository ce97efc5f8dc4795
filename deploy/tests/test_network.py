"""Who may talk to whom on the cluster: exactly the arrows that the code has, and nothing else."""

import pytest
from chart import BOTS, MATRIX, NAMESPACE, RELEASE, Object, part_of, pods, render
from render import PORTS, arrows
from traffic import Place, Policies


def bot(name: str, *, release_namespace: str = NAMESPACE, namespace: str = BOTS) -> Place:
    labels = (("app", name), ("shoal/installation", f"{release_namespace}.{RELEASE}"))
    return Place(name, namespace, labels, (("ssh", 2222),))


BOT = bot("bot")
STRANGER = Place("stranger", "elsewhere", (("app", "x"),))
NEIGHBOUR = Place("neighbour", NAMESPACE, (("app", "x"),))
POD_BESIDE_BOTS = Place("beside", BOTS, (("app", "x"),))
INTERNET = Place("internet")
API = Place("0.0.0.0/0")
SERVERS = {"postgres": 5432, "nats": 4222}


def places(objects: list[Object], *, namespace: str = NAMESPACE) -> dict[str, Place]:
    found = {}
    for _, pod in pods(objects):
        labels = tuple(sorted(pod["metadata"]["labels"].items()))
        ports = tuple(
            (port["name"], port["containerPort"])
            for container in pod["spec"]["containers"]
            for port in container.get("ports", [])
        )
        found[part_of(pod)] = Place(part_of(pod), namespace, labels, ports)
    return found


@pytest.mark.parametrize("label", ["as it comes", "everything on"])
def test_pods_may_talk_to_exactly_those_whom_the_code_calls(label: str) -> None:
    objects = render(MATRIX[label])
    policies, parts = Policies({NAMESPACE: objects}), places(objects)
    everybody = [*parts.values(), BOT, STRANGER, NEIGHBOUR, POD_BESIDE_BOTS]
    ports = {**PORTS, **SERVERS}
    allowed = {
        (source.name, target)
        for source in everybody
        for target, port in ports.items()
        if source.name != target and policies.allow(source, parts[target], port)
    }
    expected = arrows()
    expected |= {(service, server) for service in PORTS for server in SERVERS} | {("readers", "nats")}
    if "backup" in parts:
        expected |= {("backup", server) for server in SERVERS}
    # the front door is open to everybody whose own policies let him out
    expected |= {(one.name, "gateway") for one in (BOT, STRANGER, NEIGHBOUR)}
    assert allowed == expected


def test_no_other_port_is_open() -> None:
    objects = render()
    policies, parts = Policies({NAMESPACE: objects}), places(objects)
    for source in (*parts.values(), BOT, STRANGER, NEIGHBOUR):
        for target in parts.values():
            for port in (22, 80, 443, 6222, 8222, 9090):
                assert not policies.allow(source, target, port), (source.name, target.name, port)


def test_instances_are_reached_by_ssh_from_ssh_manager_alone() -> None:
    objects = render()
    policies, parts = Policies({NAMESPACE: objects}), places(objects)
    everybody = [*parts.values(), bot("another"), STRANGER, NEIGHBOUR, POD_BESIDE_BOTS, INTERNET]
    reaching = {
        (one.name, port)
        for one in everybody
        for port in (2222, 6081, 6082, 3000, 8080)
        if policies.allow(one, BOT, port)
    }
    assert reaching == {("ssh-manager", 2222)}


SHARED = {
    "instances": {"namespace": "bots"},
    "networkPolicies": {"gatewayFrom": [{"podSelector": {"matchLabels": {"app": "browser"}}}]},
}


def test_releases_of_one_name_that_share_a_namespace_of_instances_have_each_its_own() -> None:
    releases = {namespace: render(SHARED, namespace=namespace) for namespace in ("east", "west")}
    there = {
        namespace: {
            (one["kind"], one["metadata"]["name"]) for one in objects if one["metadata"].get("namespace") == "bots"
        }
        for namespace, objects in releases.items()
    }
    assert {kind for kind, _ in there["east"]} == {"NetworkPolicy", "Role", "RoleBinding"}
    assert not there["east"] & there["west"]
    policies = Policies(releases)
    parts = {namespace: places(objects, namespace=namespace) for namespace, objects in releases.items()}
    bots = {namespace: bot(namespace, release_namespace=namespace, namespace="bots") for namespace in releases}
    pairs = [(one, other) for one in releases for other in releases]
    assert [one == other for one, other in pairs] == [
        policies.allow(parts[one]["ssh-manager"], bots[other], 2222) for one, other in pairs
    ]
    assert [one == other for one, other in pairs] == [
        policies.allow(bots[one], parts[other]["gateway"], 8080) for one, other in pairs
    ]


def test_a_release_leaves_instances_of_another_without_policies_alone() -> None:
    policies = Policies({"east": render(SHARED, namespace="east")})
    assert policies.allow(STRANGER, bot("west", release_namespace="west", namespace="bots"), 2222)


def test_screens_by_node_port_are_opened_by_name_only() -> None:
    objects = render(MATRIX["everything on"])
    policies = Policies({NAMESPACE: objects})
    office = Place("192.0.2.0/24")
    assert policies.allow(office, BOT, 6081)
    assert not policies.allow(office, BOT, 2222)


def test_only_those_who_need_it_reach_out() -> None:
    objects = render()
    policies, parts = Policies({NAMESPACE: objects}), places(objects)
    out = {name for name, place in parts.items() if policies.allow(place, INTERNET, 443)}
    # the orchestrator's way is the one to the API server, whose address is nobody's pod
    assert out == {"agent-runtime", "instance-orchestrator"}
    assert policies.allow(BOT, INTERNET, 443)
    assert not policies.allow(POD_BESIDE_BOTS, INTERNET, 443)
    assert policies.allow(parts["instance-orchestrator"], API, 6443)


def test_the_cluster_and_the_clouds_metadata_are_no_internet() -> None:
    blocks = [
        peer["ipBlock"]
        for policy in render()
        if policy["kind"] == "NetworkPolicy"
        and policy["metadata"]["name"] in {"prod.shoal-instances", "shoal-agent-runtime"}
        for rule in policy["spec"]["egress"]
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    ]
    assert blocks
    for block in blocks:
        wide = {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}
        assert wide <= set(block["except"]) or {"fc00::/7", "fe80::/10"} <= set(block["except"])


def test_prometheus_comes_in_where_it_is_named() -> None:
    objects = render(MATRIX["everything on"])
    policies, parts = Policies({NAMESPACE: objects}), places(objects)
    prometheus = Place("prometheus", NAMESPACE, (("app", "prometheus"),))
    assert all(policies.allow(prometheus, parts[name], port) for name, port in PORTS.items())
    assert not policies.allow(prometheus, parts["postgres"], 5432)
