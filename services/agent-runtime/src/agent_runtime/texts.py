"""What strangers say, as text that can be stored."""


def storable(text: str) -> str:
    """Put a mark in place of what no text column holds: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
