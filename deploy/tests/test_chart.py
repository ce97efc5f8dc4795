"""The chart as a whole: valid for every Kubernetes we name, and its objects beside pods."""

import json
import re
from collections.abc import Iterator
from typing import Any

import helm_python as helm
import pytest
import render as rendering
import yaml
from chart import CHART, MATRIX, NAMESPACE, SERVICES, Object, containers, named, of_kind, render
from schemas import problems

OPERATORS = {"monitoring.coreos.com/v1"}
"""Kinds that Kubernetes itself does not know."""
VERSIONS = [f"1.{minor}" for minor in range(30, 38)]


def test_rendered_files_are_what_the_code_says() -> None:
    stale = [name for name, text in rendering.render() if rendering._path(name).read_text() != text]
    assert not stale, "run: python deploy/render.py"


def test_helm_finds_nothing_to_complain_about() -> None:
    found = helm.lint(str(CHART))
    assert not found["errors"], found
    assert not [one for one in found["messages"] if "WARNING" in str(one) or "ERROR" in str(one)], found


def distinct() -> Iterator[tuple[str, Object]]:
    """Yield every object that differs from all others but for what is drawn by lot."""
    seen = set()
    for label, values in MATRIX.items():
        for one in render(values):
            content = {**one, "data": sorted(one.get("data", {}))} if one["kind"] == "Secret" else one
            written = json.dumps(content, sort_keys=True)
            if written not in seen:
                seen.add(written)
                yield label, one


def test_every_object_is_valid_for_every_version() -> None:
    objects = [one for _, one in distinct() if one["apiVersion"] not in OPERATORS]
    assert len(objects) > 100
    assert not [problem for version in VERSIONS for one in objects for problem in problems(one, version)]


def test_an_object_that_is_wrong_is_found() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}
    assert list(problems(wrong, "1.37"))


@pytest.mark.parametrize("label", MATRIX)
def test_no_name_is_used_twice(label: str) -> None:
    keys = [
        (one["kind"], one["metadata"].get("namespace", NAMESPACE), one["metadata"]["name"])
        for one in render(MATRIX[label])
    ]
    assert len(keys) == len(set(keys))


def test_the_operators_prometheus_sees_the_labels_that_alerts_go_by() -> None:
    objects = render(MATRIX["everything on"])
    for name in SERVICES:
        spec = named(objects, "ServiceMonitor", f"shoal-{name}")["spec"]
        service = named(objects, "Service", f"shoal-{name}")
        assert service["metadata"]["labels"][spec["jobLabel"]] == "shoal"
        assert spec["endpoints"][0]["relabelings"] == [{"targetLabel": "service", "replacement": name}]


def test_the_alert_for_what_is_gone_names_the_services_that_are_wanted() -> None:
    assert _services_of_the_alert({}) == set(SERVICES)
    missing = {"agent-runtime", "instance-orchestrator", "ssh-manager"}
    assert _services_of_the_alert({**MATRIX["little"], "alerts": {"enabled": True}}) == set(SERVICES) - missing
    told = set(re.findall(r'service="([\w-]+)"', (CHART / "files" / "alerts.yaml").read_text()))
    assert told == set(SERVICES), "deploy/helm/shoal/files/alerts.yaml: ShoalServiceDown"


def _services_of_the_alert(values: Object) -> set[str]:
    text = named(render(values), "ConfigMap", "shoal-alerts")["data"]["shoal.yaml"]
    rules = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(text)["groups"][0]["rules"]}
    return set(
        re.findall(
            r'absent_over_time\(up{job="shoal",namespace=~"prod\|",service="([\w-]+)"}', rules["ShoalServiceDown"]
        )
    )


def test_streams_of_hours_pass_the_ingress() -> None:
    (ingress,) = of_kind(render(MATRIX["everything on"]), "Ingress")
    notes = ingress["metadata"]["annotations"]
    assert notes["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600"
    assert notes["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert ingress["spec"]["tls"] == [{"hosts": ["shoal.example"], "secretName": "tls"}]


def test_the_namespace_of_instances_is_as_strict_as_they_allow() -> None:
    def level(config: dict[str, Any]) -> str:
        (made,) = of_kind(render({"instance-orchestrator": {"config": config}}), "Namespace")
        return str(made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"])

    assert level({}) == "restricted"
    assert level({"runAsUser": 0}) == "baseline"
    assert level({"isPrivileged": True}) == "privileged"


def test_instances_bear_the_label_of_their_release() -> None:
    def label(values: Object, namespace: str = NAMESPACE) -> str:
        pod = named(render(values, namespace=namespace), "Deployment", "shoal-instance-orchestrator")["spec"][
            "template"
        ]
        return {one["name"]: one for one in containers(pod)[1]["env"]}["INSTANCE_ORCHESTRATOR_INSTALLATION"]["value"]

    assert label({}) == "prod.shoal"
    assert label({"instances": {"installation": "former.shoal"}}) == "former.shoal"
    long = label({}, "n" * 63)
    assert (len(long), long[:54]) == (63, "n" * 54)
    assert len({long, label({}, f"{'n' * 62}m"), label({}, f"{'n' * 55}")}) == 3


def test_bundled_nats_keeps_what_it_acknowledged() -> None:
    text = named(render(), "ConfigMap", "shoal-nats")["data"]["nats.conf"]
    assert "sync_interval: always" in text
