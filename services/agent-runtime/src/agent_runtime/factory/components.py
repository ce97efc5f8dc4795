"""What works beside requests."""

from collections.abc import Sequence
from datetime import timedelta

from agent_runtime import ports
from agent_runtime.agents.subscribers import AccountSubscribers
from agent_runtime.configuration.repositories import KEY_CHECK, SEALED as SEALED_KEYS
from agent_runtime.counts import Counts
from agent_runtime.cron.jobs import Scheduler
from agent_runtime.factory import Factory
from agent_runtime.factory.settings import KEY_VARIABLE
from agent_runtime.sockets.usecases.revocations import revocations
from agent_runtime.tools.repositories import SEALED as SEALED_SECRETS
from shoal.copies import Copy
from shoal.jobs import Job, housekeeping
from shoal.resealing import Resealing
from shoal.resources import Component
from shoal.subscriptions import Handlers, Subscription
from shoal.vault import KeyCheck, KeyProof
from shoal_events import AccountCreated, AccountDeleted

GATHER = timedelta(milliseconds=30)
"""How long a fact may wait to be published: that a turn begins and that it ends go out together, beside no turn."""


def components(factory: Factory) -> list[Component]:
    """List the components in the order of starting."""
    resources = factory.resources
    subscribers = AccountSubscribers(factory.agents(), _erasures(factory))
    accounts: Handlers = {
        AccountCreated: subscribers.on_account_created,
        AccountDeleted: subscribers.on_account_deleted,
    }
    return [
        KeyCheck(KeyProof(resources.database, factory.envelope, place=KEY_CHECK.place).give, variable=KEY_VARIABLE),
        resources.relay(gather=GATHER),
        resources.subscriber(Subscription("accounts", accounts)),
        resources.copier(Copy("accounts", owner="gateway", handlers=accounts, is_required=False)),
        _counts(factory),
        factory.providers,
        factory.tools.mcp_links,
        factory.runs.worker,
        resources.job(Job("forget runs", timedelta(hours=1), factory.runs.sweeping().forget)),
        resources.job(Job("clear workspaces", timedelta(minutes=10), factory.tools.clearing().clear)),
        resources.job(Job("tell telemetry", resources.config.telemetry_interval, factory.runs.tallies().tell)),
        factory.browsers.sockets,
        factory.browsers.slots,
        factory.browsers.channel_watch,
        resources.listener("revocations", revocations(factory.browsers.sockets)),
        Scheduler(database=resources.database, leases=resources.leases, firings=factory.firings()),
        resources.job(Job("sweep delegations", resources.config.delegation_sweep, factory.delegations().sweep)),
        resources.job(Job("forget delegations", timedelta(hours=6), factory.delegations().forget_old)),
        resources.job(Job("forget firings", timedelta(hours=6), factory.firings().forget_old)),
        resources.job(housekeeping(resources.database)),
        resources.job(Resealing(resources.database, factory.envelope, [*SEALED_KEYS, SEALED_SECRETS]).job()),
        resources.job(Job("forget lapsed holds", timedelta(minutes=10), factory.usage().forget_lapsed)),
        resources.job(Job("forget old turns", timedelta(hours=6), factory.reports().forget_old)),
    ]


def _counts(factory: Factory) -> Counts:
    async def tools() -> int:
        return factory.tools.toolbox.count

    counters = {
        "agent_count": factory.agents().count,
        "session_count": factory.sessions().count_all,
        "tool_count": tools,
    }
    return Counts(factory.resources.health, counters)


def _erasures(factory: Factory) -> Sequence[ports.Erasure]:
    """List what each subject erases of an account that is no more, in this order."""
    return [
        factory.sessions().erase,
        factory.knowledge.memories().erase,
        factory.knowledge.skills().erase,
        factory.configurations().erase,
        factory.canvases().erase,
        factory.reports().erase,
        factory.voices().erase,
        factory.cron_jobs().erase,
        factory.delegation_rules().erase,
        factory.tools.mcp_servers().erase,
        factory.runs.tallies().erase,
    ]
