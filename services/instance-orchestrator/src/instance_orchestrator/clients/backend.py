"""What the reconciler asks of a place where instances run."""

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from instance_orchestrator.domain.plans import InstanceRef, Observed, Plan

Hint = Callable[[int], None]
"""Told the id of an instance of which something changed, as far as anybody can tell."""


class PortsTakenError(Exception):
    """Somebody else has one of the instance's ports."""


class BackendUnavailableError(Exception):
    """The backend does not answer, or refuses; says why."""


class RefusedByBackendError(Exception):
    """The backend will not have an instance so: over a quota, forbidden, or impossible; says why."""


class Backend(Protocol):
    """A place where instances run. Every method can be repeated, by another process too, after any crash."""

    name: str

    def problem(self) -> str | None:
        """Say why the backend cannot be reached, or None."""
        ...

    def busy_ports(self, first: int, last: int) -> list[int]:
        """List ports that others are seen to use, as far as that can be told without waiting."""
        ...

    async def converge(self, plan: Plan) -> Observed:
        """Make an instance as planned and tell what is there; writes nothing when it is so already.

        Raises:
            PortsTakenError: Its ports cannot be had.
            RefusedByBackendError: The backend will not have it so.
            BackendUnavailableError: It cannot be done now.
        """
        ...

    async def remove(self, instance: InstanceRef) -> bool:
        """Delete what there is of an instance; whether nothing is left.

        Raises:
            BackendUnavailableError: It cannot be done now.
        """
        ...

    async def sweep(self, known: frozenset[int]) -> None:
        """Delete what has been there for a while and belongs to no instance.

        Raises:
            BackendUnavailableError: It cannot be done now.
        """
        ...

    async def watch(self, hint: Hint) -> None:
        """Give hints for ever."""
        ...

    def logs(self, instance: InstanceRef, *, tail: int, is_following: bool) -> AsyncGenerator[list[str], None]:
        """Read an instance's log in batches of lines; an empty batch when nothing came for a second.

        Raises:
            BackendUnavailableError: It cannot be read now.
        """
        ...

    async def close(self) -> None:
        """Give back what it holds of this process."""
        ...
