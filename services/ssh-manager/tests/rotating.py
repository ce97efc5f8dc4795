"""Replacing keys, as a test does it: both halves of a rotation, and what is stored meanwhile."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import asyncssh
from ssh_door import Place

from shoal.crypto import Envelope
from shoal_events import SshKeyRotated


async def rotate(place: Place) -> dict[str, Any]:
    answer = await place.door.admin.post(f"{place.url}/rotate-ssh-key")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def apply_rotated(place: Place, count: int = 1) -> SshKeyRotated:
    """Be instance-orchestrator: give the instance its new key, and say so."""
    told = (await place.door.suite.events(SshKeyRotated, count=count, within_s=10))[-1]
    await place.apply(told.fingerprint, told.version)
    return told


async def rotate_and_apply(place: Place, count: int = 1) -> dict[str, Any]:
    body, _ = await asyncio.gather(rotate(place), apply_rotated(place, count))
    return body


async def private_keys(place: Place) -> list[asyncssh.SSHKey]:
    """Open every stored key of an instance, the newest first, as whoever has the key-encryption key can."""
    key_id, _, encoded = (Path(place.door.settings["SHOAL_STATE"]) / "ssh-manager.key").read_text().partition(":")
    envelope = Envelope({key_id: base64.b64decode(encoded)}, current=key_id)
    rows = await place.door.sql(
        "select version, sealed from ssh_key where instance_id = $1 order by version desc", place.id
    )
    places = [f"ssh_manager/ssh_key/{place.id}/{row['version']}/sealed" for row in rows]
    return [
        asyncssh.import_private_key(envelope.open(row["sealed"], place=one))
        for row, one in zip(rows, places, strict=True)
    ]
