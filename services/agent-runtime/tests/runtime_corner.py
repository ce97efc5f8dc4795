"""A service that the tests of a module share, met by accounts that are one test's own."""

from uuid import uuid4

from runtime_door import Door

from shoal.identity import Principal, Role
from shoal.testing.suite import user


class Corner(Door):
    """A door whose callers are of accounts that no other test has."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.suite, door.service, door.state)
        self.account_id, self.other_id = f"acct_{uuid4().hex[:10]}", f"acct_{uuid4().hex[:10]}"
        self.who: Principal = user(self.account_id, f"user_{self.account_id}")
        self.other: Principal = user(self.other_id, f"user_{self.other_id}", role=Role.ADMIN)
        self.admin = door.service.client(user(self.account_id, f"admin_{self.account_id}", role=Role.ADMIN))
        self.alice = door.service.client(self.who)
        self.stranger = door.service.client(self.other)
