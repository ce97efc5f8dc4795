"""Who may say and hear what on NATS.

Two accounts. `SHOAL` holds the services and the streams; each service publishes the facts of its own domains and
nobody else's. `READERS` holds outsiders, and a copy of the stream EVENTS (`readers`). An account of their own, because
subject permissions alone do not make a reader: who may send a request chooses the subject of its reply and so makes
the server publish there, and who may create a consumer on a stream may also change, drain and acknowledge the
consumers of others.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

STREAM: Final = "EVENTS"


class NatsAccount(StrEnum):
    """Subjects of one account are invisible in the other, but for what is exported."""

    SHOAL = "SHOAL"
    READERS = "READERS"


class NatsUser(msgspec.Struct, frozen=True):
    """One user of NATS.

    Attributes:
        name: The user name.
        password: Its password, in clear text.
        publish_allow: Subjects it may publish to, with NATS wildcards.
        publish_deny: Exceptions from `publish_allow`.
        subscribe_allow: Subjects it may subscribe to.
        account: Where it lives.
    """

    name: str
    password: str
    publish_allow: tuple[str, ...] = ()
    publish_deny: tuple[str, ...] = ()
    subscribe_allow: tuple[str, ...] = ()
    account: NatsAccount = NatsAccount.SHOAL


_LIVE: Final = ("shoal.telemetry.>", "shoal.live.>")
_RUNTIME: Final = ("shoal.frames.>", "shoal.runs.>")
"""Between the processes of the runtime: frames for browsers, and what is asked of runs; never stored."""

PUBLISHES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "gateway": (
            "shoal.events.account.>",
            "shoal.events.user.>",
            "shoal.events.api_key.>",
            "shoal.events.login.>",
        ),
        "pairing": (
            "shoal.events.pairing.>",
            "shoal.events.connection.>",
            "shoal.events.agent_pairing.>",
            "shoal.events.agent.registered.>",
            "shoal.events.agent.updated.>",
            "shoal.events.agent.deleted.>",
            "shoal.events.agent.connected.>",
            "shoal.events.agent.disconnected.>",
        ),
        "telemetry-ingest": ("shoal.events.agent.online.>", "shoal.events.agent.offline.>", *_LIVE),
        "metrics-query": (),
        "agent-runtime": (
            "shoal.events.runtime_agent.>",
            "shoal.events.session.>",
            "shoal.events.run.>",
            "shoal.events.cron.>",
            *_LIVE,
            *_RUNTIME,
        ),
        "instance-orchestrator": ("shoal.events.instance.>", "shoal.events.assignment.>"),
        "ssh-manager": ("shoal.events.ssh.>",),
    }
)
"""What each service publishes beside its dead letters: the facts of its own domains."""

ADMIN: Final = "admin"
CONSUMER: Final = "consumer"
COPIER: Final = "copier"

USERS: Final = (ADMIN, *PUBLISHES, CONSUMER, COPIER)
"""Every name that `service_users` wants a password for."""

_JETSTREAM: Final = ("$JS.API.>", "$JS.ACK.>", "$JS.FC.>")
_DESTRUCTIVE: Final = (
    "$JS.API.STREAM.DELETE.>",
    "$JS.API.STREAM.PURGE.>",
    "$JS.API.STREAM.MSG.DELETE.>",
    "$JS.API.STREAM.RESTORE.>",
    "$JS.API.ACCOUNT.>",
)
_HEARD: Final = ("_INBOX.>", "shoal.events.>", "shoal.live.>", "$JS.EVENT.ADVISORY.>")
_HEARD_BY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"agent-runtime": _RUNTIME})
_READER_API: Final = (
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    f"$JS.API.STREAM.INFO.{STREAM}",
    f"$JS.API.STREAM.MSG.GET.{STREAM}",
    f"$JS.API.DIRECT.GET.{STREAM}",
    f"$JS.API.DIRECT.GET.{STREAM}.>",
    f"$JS.API.CONSUMER.*.{STREAM}",
    f"$JS.API.CONSUMER.*.{STREAM}.>",
    f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.>",
    f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.>",
    f"$JS.ACK.{STREAM}.>",
    f"$JS.FC.{STREAM}.>",
)


def service_users(passwords: Mapping[str, str]) -> tuple[NatsUser, ...]:
    """Build the users of a whole installation.

    `admin` may everything; each service what `PUBLISHES` says, its dead letters `shoal.dead.<service>.>`, and JetStream
    without deleting or purging; `consumer` reads facts and live frames; `copier` keeps the copy that it reads.

    Args:
        passwords: By user name, for every name of `USERS`.
    """
    return (
        NatsUser(ADMIN, passwords[ADMIN], publish_allow=(">",), subscribe_allow=(">",)),
        *(
            NatsUser(
                service,
                passwords[service],
                publish_allow=(*facts, f"shoal.dead.{service}.>", *_JETSTREAM),
                publish_deny=_DESTRUCTIVE,
                subscribe_allow=(*_HEARD, *_HEARD_BY.get(service, ())),
            )
            for service, facts in PUBLISHES.items()
        ),
        NatsUser(
            CONSUMER,
            passwords[CONSUMER],
            publish_allow=_READER_API,
            subscribe_allow=("_INBOX.>", "shoal.events.>", "shoal.live.>"),
            account=NatsAccount.READERS,
        ),
        NatsUser(
            COPIER,
            passwords[COPIER],
            publish_allow=("$JS.API.>",),
            subscribe_allow=("_INBOX.>",),
            account=NatsAccount.READERS,
        ),
    )
