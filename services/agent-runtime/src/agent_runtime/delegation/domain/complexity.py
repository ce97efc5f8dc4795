"""How complex a task is, told from its words alone."""

from agent_runtime.ports import Classification

KEYWORDS = (
    *("deploy", "refactor", "architect", "design", "optimize", "migrate", "security", "audit", "review", "analyze"),
    *("orchestrate", "coordinate", "integrate", "implement", "debug", "investigate", "comprehensive", "distributed"),
    *("concurrent", "parallel"),
)
SMALL = 0.3
"""Below this a small model will do."""
_LENGTH, _QUESTIONS, _WORDS = 0.3, 0.2, 0.5
_LONG_BYTES, _MANY_QUESTIONS, _MANY_WORDS = 500, 3, 4


def classify(text: str) -> Classification:
    """Score a task, and tell for which tier it is."""
    score = complexity(text)
    return Classification(score, tier(score))


def complexity(text: str) -> float:
    """Score a task, 0 to 1.

    Three parts: length (all of 0.3 from 500 bytes on), question marks (all of 0.2 from three on) and telling words
    (all of 0.5 from four different ones on; a word counts wherever it stands, also inside another).
    """
    lowered = text.lower()
    hits = sum(word in lowered for word in KEYWORDS)
    length = min(len(text.encode("utf-8", "surrogatepass")) / _LONG_BYTES, 1)
    questions = min(text.count("?") / _MANY_QUESTIONS, 1)
    words = min(hits / _MANY_WORDS, 1)
    return round(_LENGTH * length + _QUESTIONS * questions + _WORDS * words, 4)


def tier(score: float) -> int:
    """Tell which kind of model a task is for: 2 a small one, 3 a large one."""
    return 2 if score < SMALL else 3
