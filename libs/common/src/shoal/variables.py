"""Variables of the environment as operators read them: values as docs/settings.md has them, names that are misspelt."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final

SHARED: Final = "SHOAL_"
ELSEWHERE: Final = frozenset(
    {
        # of services which a process that runs another one does not load
        "SHOAL_DEFAULT_PLAN", "SHOAL_INSTANCE_BACKEND", "SHOAL_INSTANCE_IMAGE", "SHOAL_NODE_ADDRESS",
        "SHOAL_OUTGOING_ALLOWED", "SHOAL_PLANS", "SHOAL_PUBLIC_URL", "SHOAL_STATE",
        # of `shoal up`, migrations, instances, compose, the demo and tests
        "SHOAL_ADMIN_PASSWORD", "SHOAL_DBMATE_URL", "SHOAL_INSTANCE_DIR", "SHOAL_INSTANCE_GIVEN", "SHOAL_BACKUP_KEEP",
        "SHOAL_IMAGE", "SHOAL_PORT", "SHOAL_RENEW", "SHOAL_DEMO_AGENTS", "SHOAL_URL", "SHOAL_PROMETHEUS",
        "SHOAL_CONTAINER_ENGINE", "SHOAL_IMAGE_OPTIONS", "SHOAL_IMAGE_PYTHON",
    }
)  # fmt: skip
"""Variables that begin as shared settings do, and are none of the service at hand."""
ELSEWHERE_BEGINNINGS: Final = ("SHOAL_AGENT_", "SHOAL_TEST_")
_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def unknown(given: Iterable[str], known: Collection[str], *, prefixes: Iterable[str]) -> list[str]:
    """Name the variables that begin like settings, and that no setting has.

    Args:
        given: Names of variables.
        known: Those that settings are read from, without `_FILE`.
        prefixes: How the settings of services begin, such as `PAIRING`; shared ones are looked at always.
    """
    beginnings = (SHARED, *(f"{prefix}_" for prefix in prefixes))
    read = {*known, *ELSEWHERE}
    return sorted(
        name
        for name in given
        if name.startswith(beginnings)
        and not name.startswith(ELSEWHERE_BEGINNINGS)
        and name not in read
        and name.removesuffix("_FILE") not in read
    )


def written(value: object) -> str:
    """Write a value as it would be given, and as docs/settings.md has it; `-` for none."""
    match value:
        case None | "" | ():
            return "-"
        case bool() as is_on:
            return str(is_on).lower()
        case timedelta() as span:
            return _duration(span)
        case tuple() as several:
            return ",".join(written(one) for one in several)
        case other:
            return str(other)


def _duration(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s" if seconds >= 1 or not seconds else f"{seconds * 1000:g}ms"
