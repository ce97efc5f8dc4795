"""How well a turn went."""

from collections.abc import Sequence

from agent_runtime.runs.domain.runs import CallRecord


def score_of(calls: Sequence[CallRecord]) -> float:
    """Judge a turn that came to its end, 0 to 1: that counts half, and how many of its calls went well the rest."""
    over = [call for call in calls if call.status.is_over]
    went_well = sum(not call.is_error for call in over) / len(over) if over else 1.0
    return 0.5 + 0.5 * went_well
