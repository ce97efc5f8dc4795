"""What the chart makes once and keeps: passwords, identity keys, the keys that seal."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
from chart import CHART, MATRIX, NAMESPACE, RELEASE, Object, of_kind, parsed, pods, render
from cluster import Cluster

from shoal.crypto import Envelope
from shoal.identity import Issuer, Principal, Verifier, Via
from shoal_embedded.nats import EmbeddedNats, render_accounts
from shoal_embedded.nats_users import USERS, service_users
from shoal_operations.credentials import service_names, write_credentials


def secrets(objects: list[Object]) -> dict[str, dict[str, str]]:
    return {
        one["metadata"]["name"]: {key: base64.b64decode(text).decode() for key, text in one["data"].items()}
        for one in of_kind(objects, "Secret")
    }


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster().serving() as made:
        yield made


def render_on(cluster: Cluster, values: Object | None = None) -> list[Object]:
    """Render as an upgrade does: what is there may be looked at."""
    about = {
        "clusters": [{"name": "it", "cluster": {"server": cluster.url}}],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    with helm.Config(namespace=NAMESPACE, kubeconfig_content=json.dumps(about)) as config:
        made = config.install(str(CHART), RELEASE, values or {}, dry_run="server")
    return parsed(made["manifest"])


def keep(cluster: Cluster, objects: list[Object]) -> None:
    """Have the Secrets on the cluster, with the notes by which Helm knows its own."""
    for one in of_kind(objects, "Secret"):
        notes = one["metadata"].setdefault("annotations", {})
        notes |= {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
        cluster.secrets[one["metadata"]["name"]] = one


def test_an_upgrade_keeps_secrets_makes_what_is_new_and_follows_a_moved_database(cluster: Cluster) -> None:
    keep(cluster, render())
    before = secrets(list(cluster.secrets.values()))
    del cluster.secrets["shoal-ssh-manager"]  # a version before it did not have that service
    after = secrets(render_on(cluster, {"postgres": {"bundled": False, "existing": {"host": "db.example"}}}))
    for name in before.keys() - {"shoal-ssh-manager", "shoal-shared", "shoal-nats"}:
        moved = {key: text.replace("shoal-postgres:5432/shoal?sslmode=disable", "db.example:5432/shoal?sslmode=require")
                 for key, text in before[name].items()}  # fmt: skip
        assert after[name] == moved
    assert after["shoal-ssh-manager"]["identity-key"] != before["shoal-ssh-manager"]["identity-key"]
    public, known = (json.loads(made["shoal-shared"]["identity-keys"]) for made in (after, before))
    assert {name for name in public if public[name] != known[name]} == {"ssh-manager"}
    assert after["shoal-nats"]["admin-password"] == before["shoal-nats"]["admin-password"]


def test_identities_signed_by_generated_keys_are_believed() -> None:
    made = secrets(render())
    public = json.loads(made["shoal-shared"]["identity-keys"])
    assert set(public) == set(service_names())
    for name in public:
        issuer = Issuer(name, made[f"shoal-{name}"]["identity-key"])
        token = issuer.issue_own(audience="pairing")
        assert Verifier("pairing", public).verify(token) == Principal(via=Via.SERVICE, service=name)


def test_generated_keys_seal() -> None:
    text = secrets(render())["shoal-instance-orchestrator"]["encryption-key"]
    name, _, key = text.partition(":")
    assert (name, len(base64.b64decode(key, validate=True))) == ("k1", 32)
    Envelope({name: base64.b64decode(key)}, current=name)


def test_rights_on_nats_are_those_of_shoal_up() -> None:
    made = secrets(render())
    passwords = {name: made["shoal-nats"][f"{name}-password"] for name in ("admin", "consumer", "copier")}
    passwords |= {name: made[f"shoal-{name}"]["nats-password"] for name in service_names()}
    text = made["shoal-nats"]["accounts.conf"].removeprefix("accounts: ")
    assert json.loads(text) == json.loads(json.dumps(render_accounts(service_users(passwords))))
    assert set(passwords) == set(USERS)


def test_nothing_secret_is_anywhere_else() -> None:
    objects = render()
    hidden = {text for made in secrets(objects).values() for key, text in made.items() if "key" in key or "pass" in key}
    hidden -= {secrets(objects)["shoal-shared"]["identity-keys"]}
    told = json.dumps([one for one in objects if one["kind"] != "Secret"])
    assert len(hidden) > 20
    assert not [text for text in hidden if text in told]


def test_secrets_of_ones_own_are_named_and_none_is_made() -> None:
    objects = render(MATRIX["secrets of one's own"])
    assert not of_kind(objects, "Secret")
    named = {text for _, pod in pods(objects) for text in _names(pod)}
    assert named == {"mine-shared", "mine-nats", "mine-admin", *(f"mine-{name}" for name in service_names())}


def test_credentials_have_the_keys_that_pods_mount(tmp_path: Path) -> None:
    write_credentials(tmp_path, database_url="postgresql://shoal@db/shoal", nats_url="nats://nats:4222")
    for _, pod in pods(render(MATRIX["secrets of one's own"])):
        for source in _sources(pod):
            name = (source.get("secretName") or source["name"]).removeprefix("mine-")
            for item in source["items"]:
                assert (tmp_path / name / item["key"]).stat().st_mode & 0o777 == 0o600


def test_credentials_stay_when_written_again(tmp_path: Path) -> None:
    def written() -> dict[str, str]:
        write_credentials(tmp_path, database_url="postgresql://shoal@db/shoal", nats_url="nats://nats:4222")
        return {str(file): file.read_text() for file in tmp_path.rglob("*") if file.is_file()}

    assert written() == written()


def test_a_service_gets_new_credentials_where_that_is_asked_for(tmp_path: Path) -> None:
    def written(*renew: str) -> dict[str, str]:
        write_credentials(tmp_path, database_url="postgresql://shoal@db/x", nats_url="nats://nats:4222", renew=renew)
        return {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob("*") if file.is_file()}

    before = written()
    after = written("pairing")
    assert {name for name in before if before[name] != after[name]} == {
        "installation.json", "pairing/database-url", "pairing/nats-url", "pairing/identity-key", "shared/identity-keys",
        "nats/accounts.conf",
    }  # fmt: skip
    with pytest.raises(KeyError):
        written("nobody")


def test_a_key_that_was_taken_out_of_its_secret_is_made_anew(cluster: Cluster) -> None:
    keep(cluster, render())
    before = secrets(list(cluster.secrets.values()))
    for key in ("identity-key", "nats-password"):
        del cluster.secrets["shoal-pairing"]["data"][key]
    after = secrets(render_on(cluster))
    changed = {(name, key) for name, made in before.items() for key in made if after[name][key] != made[key]}
    assert changed == {
        ("shoal-pairing", "identity-key"), ("shoal-pairing", "nats-password"), ("shoal-pairing", "nats-url"),
        ("shoal-shared", "identity-keys"), ("shoal-nats", "accounts.conf"),
    }  # fmt: skip


async def test_nats_takes_the_accounts_that_are_written(tmp_path: Path) -> None:
    write_credentials(tmp_path / "made", database_url="postgresql://shoal@db/shoal", nats_url="nats://nats:4222")
    text = (tmp_path / "made" / "nats" / "accounts.conf").read_text().removeprefix("accounts: ")
    accounts = json.loads(text)
    passwords = {user["user"]: user["password"] for account in accounts.values() for user in account["users"]}
    assert accounts == json.loads(json.dumps(render_accounts(service_users(passwords))))
    nats = EmbeddedNats(tmp_path / "nats", users=service_users(passwords))
    await nats.start()
    await nats.stop()


def _sources(pod: Object) -> Iterator[dict[str, Any]]:
    for volume in pod["spec"]["volumes"]:
        if "secret" in volume:
            yield volume["secret"]
        for source in volume.get("projected", {}).get("sources", []):
            yield source["secret"]


def _names(pod: Object) -> Iterator[str]:
    for source in _sources(pod):
        yield source.get("secretName") or source["name"]
