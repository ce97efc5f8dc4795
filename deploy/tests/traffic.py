"""What NetworkPolicies allow, worked out as a network plugin would: from which pod to which pod, on which port."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

Object = dict[str, Any]


class Place(Struct, frozen=True):
    """A pod, or somewhere outside of the cluster."""

    name: str
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    """By name, for policies that name them."""


class Policies:
    """All policies of a cluster.

    Args:
        releases: The objects of each release, by its namespace.
    """

    def __init__(self, releases: Mapping[str, Iterable[Object]]) -> None:
        self._specs = [
            (one["metadata"].get("namespace", namespace), one["spec"])
            for namespace, objects in releases.items()
            for one in objects
            if one["kind"] == "NetworkPolicy"
        ]

    def allow(self, source: Place, target: Place, port: int) -> bool:
        """Tell whether a connection is allowed by what selects its source, and by what selects its target."""
        return self._leaves(source, target, port) and self._enters(source, target, port)

    def _leaves(self, source: Place, target: Place, port: int) -> bool:
        rules = self._rules("Egress", "egress", source)
        return rules is None or any(
            self._is_port(rule, port, target) and self._is_peer(rule.get("to"), source, target) for rule in rules
        )

    def _enters(self, source: Place, target: Place, port: int) -> bool:
        rules = self._rules("Ingress", "ingress", target)
        return rules is None or any(
            self._is_port(rule, port, target) and self._is_peer(rule.get("from"), target, source) for rule in rules
        )

    def _rules(self, kind: str, key: str, place: Place) -> list[Object] | None:
        """List the rules for a place; None where no policy selects it, so that everything goes."""
        selecting = [
            spec
            for namespace, spec in self._specs
            if namespace == place.namespace
            and kind in spec["policyTypes"]
            and matches(spec["podSelector"], place.labels)
        ]
        return [rule for spec in selecting for rule in spec.get(key) or []] if selecting else None

    def _is_port(self, rule: Object, port: int, target: Place) -> bool:
        wanted = [dict(target.ports).get(one["port"], one["port"]) for one in rule.get("ports", [])]
        return not wanted or port in wanted

    def _is_peer(self, peers: Sequence[Object] | None, here: Place, there: Place) -> bool:
        return not peers or any(self._is_one(peer, here, there) for peer in peers)

    def _is_one(self, peer: Object, here: Place, there: Place) -> bool:
        if "ipBlock" in peer:
            return not there.namespace and there.name in {"internet", peer["ipBlock"]["cidr"]}
        if not there.namespace:
            return False
        if "namespaceSelector" in peer:
            names = (("kubernetes.io/metadata.name", there.namespace),)
            if not matches(peer["namespaceSelector"], names):
                return False
        elif there.namespace != here.namespace:
            return False
        return matches(peer.get("podSelector", {}), there.labels)


def matches(selector: Mapping[str, Any], labels: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a label selector selects these labels."""
    found = dict(labels)
    for key, value in selector.get("matchLabels", {}).items():
        if found.get(key) != value:
            return False
    for one in selector.get("matchExpressions", []):
        assert one["operator"] in {"In", "DoesNotExist"}, "no policy of ours uses another"
        if (one["key"] in found) if one["operator"] == "DoesNotExist" else (found.get(one["key"]) not in one["values"]):
            return False
    return True
