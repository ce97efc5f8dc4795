"""What one installation hands to its services."""

import json
import stat
from pathlib import Path

import asyncpg

from shoal.config import ServiceConfig, load
from shoal.identity import Issuer, Verifier
from shoal.installation import Installation, as_role
from shoal.resources import Resources

NAMES = ["gateway", "telemetry-ingest"]


def environment_of(installation: Installation) -> dict[str, str]:
    return installation.environment(
        admin_url="postgresql://shoal:pw@127.0.0.1:5432/shoal",
        nats_url=lambda name: f"nats://{name}@127.0.0.1:4222",
        addresses={"telemetry-ingest": "127.0.0.1:8102"},
    )


def test_installation_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "installation.json"
    made = Installation.open(path, NAMES, passwords=["consumer"])
    written = path.stat().st_mtime_ns
    assert Installation.open(path, NAMES, passwords=["consumer"]) == made
    assert path.stat().st_mtime_ns == written
    grown = Installation.open(path, [*NAMES, "pairing"], passwords=["consumer", "admin"])
    assert grown.services["gateway"] == made.services["gateway"]
    assert grown.passwords["consumer"] == made.passwords["consumer"]
    assert Installation.open(path, NAMES).services.keys() == {*NAMES, "pairing"}


def test_file_is_its_owners_alone_whatever_a_crash_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "installation.json"
    left_behind = path.with_suffix(".new")
    left_behind.write_text("half")
    left_behind.chmod(0o644)
    Installation.open(path, NAMES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not left_behind.exists()


def test_no_secret_shows_itself(tmp_path: Path) -> None:
    made = Installation.open(tmp_path / "installation.json", NAMES, passwords=["admin"])
    shown = f"{made!r} {made} {made.services!r}"
    for credentials in made.services.values():
        assert credentials.database_password not in shown
        assert credentials.private_key not in shown
    assert made.passwords["admin"] not in shown


def test_services_differ_in_every_secret(tmp_path: Path) -> None:
    made = Installation.open(tmp_path / "installation.json", NAMES)
    one, other = (made.services[name] for name in NAMES)
    assert one.database_password != other.database_password != other.nats_password
    assert one.private_key != other.private_key


async def test_environment_is_all_that_a_service_needs(tmp_path: Path) -> None:
    environment = environment_of(Installation.open(tmp_path / "installation.json", NAMES))
    config = load(ServiceConfig, "TELEMETRY_INGEST", environment)
    assert config.port == 8102
    assert json.loads(config.services) == {"telemetry-ingest": "127.0.0.1:8102"}
    resources = Resources("telemetry-ingest", config, environment)
    gateway = Issuer("gateway", environment["GATEWAY_IDENTITY_KEY"])
    assert resources.verifier.verify(gateway.issue_own(audience="telemetry-ingest")).service == "gateway"
    own = resources.issuer.issue_own(audience="gateway")
    verifier = Verifier("gateway", json.loads(environment["SHOAL_IDENTITY_KEYS"]))
    assert verifier.verify(own).service == "telemetry-ingest"
    await resources.close()


async def test_password_of_any_kind_survives_the_url(admin_url: str) -> None:
    admin = await asyncpg.connect(admin_url)
    await admin.execute("""create role "o'dd" login password 'p@ss/w%rd:?#'""")
    try:
        odd = await asyncpg.connect(as_role(admin_url, "o'dd", "p@ss/w%rd:?#"))
        assert await odd.fetchval("select current_user") == "o'dd"
        await odd.close()
    finally:
        await admin.execute("""drop role "o'dd" """)
        await admin.close()
