# Generated from shoal/events/v1/ssh.proto by `python -m generate`; do not edit.
"""Ssh: the messages of `shoal/events/v1/ssh.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive


class SshKeyCreated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """ssh-manager made the key by which it will sign in to an instance. The private half never travels."""

    event_type: ClassVar[str] = "ssh.key_created.v1"
    source: ClassVar[str] = "/shoal/ssh-manager"
    producer: ClassVar[str] = "ssh-manager"
    subject_prefix: ClassVar[str] = "shoal.events.ssh.key_created.v1"
    entity: ClassVar[str] = "instance_id"

    instance_id: NonEmpty
    """The instance: the decimal digits of its public id."""

    account_id: NonEmpty
    """The account that it belongs to."""

    public_key: NonEmpty
    """The public half, as a line of OpenSSH without options: `ssh-ed25519 AAAA… comment`."""

    fingerprint: NonEmpty
    """Its fingerprint, as OpenSSH writes it: `SHA256:…`."""

    version: Positive
    """Version of the instance's key; a copy takes an event only if its version is newer."""


class SshKeyRotated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """ssh-manager replaced the key of an instance, and has proved that the new one signs in.

    The old one stays good until `instance.ssh_key_applied` names the new one.
    """

    event_type: ClassVar[str] = "ssh.key_rotated.v1"
    source: ClassVar[str] = "/shoal/ssh-manager"
    producer: ClassVar[str] = "ssh-manager"
    subject_prefix: ClassVar[str] = "shoal.events.ssh.key_rotated.v1"
    entity: ClassVar[str] = "instance_id"

    instance_id: NonEmpty
    """The instance: the decimal digits of its public id."""

    account_id: NonEmpty
    """The account that it belongs to."""

    public_key: NonEmpty
    """The public half of the new key, as a line of OpenSSH without options."""

    fingerprint: NonEmpty
    """Its fingerprint, as OpenSSH writes it: `SHA256:…`."""

    version: Positive
    """Version of the instance's key; a copy takes an event only if its version is newer."""
