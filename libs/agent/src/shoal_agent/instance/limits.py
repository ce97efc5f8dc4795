"""What an instance may take of the machine, as far as an ordinary process can be held to it."""

import resource

LEAST_BYTES = 192 * 1024 * 1024
"""Below this the instance itself could not start."""


def limit_memory(most: int) -> str:
    """Hold this process and each one that it starts to so many bytes of memory of its own; says what holds now."""
    if most <= 0:
        return "memory is not limited"
    wanted = max(most, LEAST_BYTES)
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    except (OSError, ValueError) as error:
        return f"memory is not limited ({error})"
    return f"memory is limited to {allowed} bytes for each process"
