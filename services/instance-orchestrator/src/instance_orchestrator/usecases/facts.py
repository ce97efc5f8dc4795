"""Rows told as facts."""

from instance_orchestrator.domain.instances import Desired, Instance, Phase
from instance_orchestrator.repositories.assignments import Assignment
from shoal_events import (
    AssignmentChanged,
    InstanceCreated,
    InstanceDeleted,
    InstanceRenamed,
    InstanceRunning,
    InstanceStopped,
)


def created(instance: Instance) -> InstanceCreated:
    """Tell that an instance came to be; the version is its first one, for later facts say what became of it."""
    return InstanceCreated(
        instance_id=str(instance.id),
        account_id=instance.account_id,
        user_id=instance.user_id,
        name=instance.name,
        display_name=instance.display_name,
        version=1,
    )


def renamed(instance: Instance) -> InstanceRenamed:
    """Tell what an instance is called now."""
    return InstanceRenamed(
        instance_id=str(instance.id),
        account_id=instance.account_id,
        display_name=instance.display_name,
        version=instance.version,
    )


def running(instance: Instance, host_public_key: str) -> InstanceRunning:
    """Tell how a running instance is reached."""
    return InstanceRunning(
        instance_id=str(instance.id),
        account_id=instance.account_id,
        name=instance.name,
        display_name=instance.display_name,
        ssh_host=instance.ssh_host or "",
        ssh_port=instance.ssh_port or 0,
        ssh_user=instance.ssh_user or "",
        host_public_key=host_public_key,
        version=instance.version,
    )


def stopped(instance: Instance) -> InstanceStopped:
    """Tell that an instance does not run, and why."""
    reason = "asked" if instance.desired is Desired.STOPPED else "restarting"
    return InstanceStopped(
        instance_id=str(instance.id),
        account_id=instance.account_id,
        reason="failed" if instance.phase is Phase.FAILED else reason,
        version=instance.version,
    )


def deleted(instance: Instance) -> InstanceDeleted:
    """Tell that an instance is gone."""
    return InstanceDeleted(
        instance_id=str(instance.id),
        account_id=instance.account_id,
        name=instance.name,
        pairing_id=instance.pairing_id or "",
        version=instance.version,
    )


def assigned(assignment: Assignment) -> AssignmentChanged:
    """Tell which instances a user may use."""
    return AssignmentChanged(
        user_id=assignment.user_id,
        account_id=assignment.account_id,
        instance_ids=tuple(str(instance_id) for instance_id in assignment.instance_ids),
        version=assignment.version,
    )
