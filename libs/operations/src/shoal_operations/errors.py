"""What an operator's command cannot do, in words."""

MEND = "mend that and run this again"


class OperationError(Exception):
    """Something that an operator asked for cannot be done: says what, and carries the cure."""

    def __init__(self, what: str, cure: str = MEND) -> None:
        self.cure = cure
        super().__init__(what)
