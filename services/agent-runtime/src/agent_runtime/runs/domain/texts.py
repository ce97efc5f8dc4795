"""What strangers say, as text that can be stored and read."""

from agent_runtime.ports import MAX_RESULT_BYTES


def storable(text: str) -> str:
    """Put a mark in place of what no text column holds: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def shortened(text: str) -> str:
    """Cut a result that a model should not have to read whole."""
    encoded = storable(text).encode()
    if len(encoded) <= MAX_RESULT_BYTES:
        return encoded.decode()
    return encoded[:MAX_RESULT_BYTES].decode("utf-8", "ignore") + "\n… (cut)"
