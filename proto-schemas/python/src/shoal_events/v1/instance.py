# Generated from shoal/events/v1/instance.proto by `python -m generate`; do not edit.
"""Instance: the messages of `shoal/events/v1/instance.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive, Timestamp


class InstanceCreated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Somebody asked for an instance: it has its name and its ports, and is being made."""

    event_type: ClassVar[str] = "instance.created.v1"
    source: ClassVar[str] = "/shoal/instance-orchestrator"
    producer: ClassVar[str] = "instance-orchestrator"
    subject_prefix: ClassVar[str] = "shoal.events.instance.created.v1"
    entity: ClassVar[str] = "instance_id"

    instance_id: NonEmpty
    """The instance: the decimal digits of its public id, which is never used again."""

    account_id: NonEmpty
    """The account that it belongs to."""

    user_id: str = ""
    """The user who asked for it; empty when no user did."""

    name: NonEmpty
    """Its name in the backend, such as `bot-alpha`; unique among those that are not deleted."""

    display_name: NonEmpty
    """What people call it."""

    version: Positive
    """Version of the instance's row; a copy takes an event only if its version is newer."""


class InstanceRenamed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """People changed what an instance is called."""

    event_type: ClassVar[str] = "instance.renamed.v1"
    source: ClassVar[str] = "/shoal/instance-orchestrator"
    producer: ClassVar[str] = "instance-orchestrator"
    subject_prefix: ClassVar[str] = "shoal.events.instance.renamed.v1"
    entity: ClassVar[str] = "instance_id"

    instance_id: NonEmpty
    """The instance."""

    account_id: NonEmpty
    """The account that it belongs to."""

    display_name: NonEmpty
    """What people call it now."""

    version: Positive
    """Version of the instance's row; a copy takes an event only if its version is newer."""


class InstanceRunning(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An instance runs, and this is how it is reached. Told again when the way to it has changed."""

    event_type: ClassVar[str] = "instance.running.v1"
    source: ClassVar[str] = "/shoal/instance-orchestrator"
    producer: ClassVar[str] = "instance-orchestrator"
    subject_prefix: ClassVar[str] = "shoal.events.instance.running.v1"
    entity: ClassVar[str] = "instance_id"

    instance_id: NonEmpty
    """The instance."""

    account_id: NonEmpty
    """The account that it belongs to."""

    name: NonEmpty
    """Its name in the backend."""

    display_name: NonEmpty
    """What people call it."""

    ssh_host: NonEmpty
    """Where its SSH server answers, for services of this installation."""

    ssh_port: Positive
    """The port of its SSH server."""

    ssh_user: NonEmpty
    """The user to sign in as."""

    host_public_key: NonEmpty
    """The only host key that its SSH server may show, as a line of OpenSSH: `ssh-ed25519 AAAA…`."""

    version: Positive
    """Version of the instance's row; a copy takes an event only if its version is newer."""


class InstanceStopped(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An instance no longer runs: it was asked to stop, is starting anew, or failed."""

    event_type: ClassVar[str] = "instance.stopped.v1"
    source: ClassVar[str] = "/shoal/instance-orchestrator"
    producer: ClassVar[str] = "instance-orchestrator"
    subject_prefix: ClassVar[str] = "shoal.events.instance.stopped.v1"
    entity: ClassVar[str] = "instance_id"

    instance_id: NonEmpty
    """The instance."""

    account_id: NonEmpty
    """The account that it belongs to."""

    reason: NonEmpty
    """Why: `asked` (somebody stopped it), `restarting` (it is meant to run and will) or `failed`.

    Others may be added.
    """

    version: Positive
    """Version of the instance's row; a copy takes an event only if its version is newer."""


class InstanceDeleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An instance is gone for good: nobody can reach it any more, and what it kept is being deleted."""

    event_type: ClassVar[str] = "instance.deleted.v1"
    source: ClassVar[str] = "/shoal/instance-orchestrator"
    producer: ClassVar[str] = "instance-orchestrator"
    subject_prefix: ClassVar[str] = "shoal.events.instance.deleted.v1"
    entity: ClassVar[str] = "instance_id"

    instance_id: NonEmpty
    """The instance."""

    account_id: NonEmpty
    """The account that it belonged to."""

    name: NonEmpty
    """The name that it had."""

    pairing_id: str = ""
    """The pairing by which its agent reported to the account; empty when there is none."""

    version: Positive
    """Version of the instance's row; the last one."""


class InstanceSshKeyApplied(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An instance has the public key that ssh-manager made for it: whoever holds the private half can sign in."""

    event_type: ClassVar[str] = "instance.ssh_key_applied.v1"
    source: ClassVar[str] = "/shoal/instance-orchestrator"
    producer: ClassVar[str] = "instance-orchestrator"
    subject_prefix: ClassVar[str] = "shoal.events.instance.ssh_key_applied.v1"
    entity: ClassVar[str] = "instance_id"

    instance_id: NonEmpty
    """The instance."""

    account_id: NonEmpty
    """The account that it belongs to."""

    fingerprint: NonEmpty
    """The key's fingerprint, as OpenSSH writes it: `SHA256:…`."""

    key_version: Positive
    """Version of the key, as `ssh.key_created` and `ssh.key_rotated` told it."""

    applied_at: Timestamp
    """When the instance had it."""
