"""What tools answer, as text that models read."""

from agent_runtime.ports import MAX_RESULT_BYTES
from agent_runtime.texts import storable


def shortened(text: str) -> str:
    """Cut a result that a model should not have to read whole."""
    encoded = storable(text).encode()
    if len(encoded) <= MAX_RESULT_BYTES:
        return encoded.decode()
    return encoded[:MAX_RESULT_BYTES].decode("utf-8", "ignore") + "\n… (cut)"
