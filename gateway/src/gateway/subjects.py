"""The use cases, made of a database and an outbox: what the service and the command line share."""

import msgspec

from gateway.accounts.usecases.accounts import Accounts
from gateway.accounts.usecases.users import Users
from gateway.config import Config
from gateway.keys.domain import Plan
from gateway.keys.usecases.keys import Keys
from gateway.logins.domain import Kind, Terms
from gateway.logins.usecases.logins import Logins
from gateway.logins.usecases.password_changes import PasswordChanges
from gateway.logins.usecases.sign_ins import SignIns
from gateway.logins.usecases.throttle import Throttle
from gateway.passwords import Passwords
from shoal.database import Database
from shoal.outbox import Outbox


class Subjects:
    """Everything that the gateway decides."""

    def __init__(self, *, config: Config, database: Database, outbox: Outbox) -> None:
        passwords = Passwords(min_length=config.password_min_length)
        self.keys = Keys(
            database=database, outbox=outbox, plans=msgspec.json.decode(config.plans, type=dict[str, Plan])
        )
        self.logins = Logins(
            database=database,
            outbox=outbox,
            terms={
                Kind.SESSION: Terms(config.session_idle_ttl, config.session_ttl),
                Kind.TOKEN: Terms(config.token_ttl, None),
            },
        )
        self.users = Users(
            database=database,
            outbox=outbox,
            passwords=passwords,
            end_credentials=[self.logins.end_all, self.keys.revoke_all],
        )
        self.accounts = Accounts(
            database=database, outbox=outbox, passwords=passwords, users=self.users, plan=config.default_plan
        )
        self.sign_ins = SignIns(
            database=database,
            accounts=self.accounts,
            users=self.users,
            logins=self.logins,
            throttle=Throttle(database),
            link_ttl=config.link_ttl,
        )
        self.password_changes = PasswordChanges(
            database=database, passwords=passwords, users=self.users, logins=self.logins
        )
