"""What plain code says when it cannot do something."""


class NotForBoosterError(Exception):
    """This is not for plain code; says why."""
