"""What an instance may take of the machine, as far as an ordinary process can be held to it."""

import math
import os
import random
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


def limit_cores(most: float) -> str:
    """Hold this process and each one that it starts to so many cores, some at random; says what holds now.

    Whole cores are all that an ordinary process can be held to: a part of one counts as one.
    """
    try:
        there = sorted(os.sched_getaffinity(0))
        wanted = math.ceil(most)
        if most <= 0 or wanted >= len(there):
            return "processors are not limited"
        os.sched_setaffinity(0, random.sample(there, wanted))
    except (OSError, ValueError, AttributeError) as error:
        return f"processors are not limited ({error})"
    return f"processors are limited to {wanted} of {len(there)}"
