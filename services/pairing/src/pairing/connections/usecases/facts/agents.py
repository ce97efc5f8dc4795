"""Registered agents, told as facts."""

from pairing.connections.domain.agents import Agent
from shoal_events import AgentConnected, AgentDeleted, AgentDisconnected, AgentRegistered, AgentUpdated


def registered(agent: Agent) -> AgentRegistered:
    """Tell that there is an agent."""
    return AgentRegistered(
        agent_uuid=str(agent.id),
        account_id=agent.account_id,
        agent_id=agent.agent_id,
        name=agent.name,
        agent_type=agent.agent_type,
        available_for_connections=agent.is_available,
        key_version=agent.key_version,
        version=agent.version,
    )


def updated(agent: Agent) -> AgentUpdated:
    """Tell what its account says of an agent now."""
    return AgentUpdated(
        agent_uuid=str(agent.id),
        account_id=agent.account_id,
        agent_id=agent.agent_id,
        name=agent.name,
        agent_type=agent.agent_type,
        available_for_connections=agent.is_available,
        version=agent.version,
    )


def connected(agent: Agent) -> AgentConnected:
    """Tell that an agent handed in a key."""
    return AgentConnected(
        agent_uuid=str(agent.id),
        account_id=agent.account_id,
        agent_id=agent.agent_id,
        key_version=agent.key_version,
        version=agent.version,
    )


def disconnected(agent: Agent) -> AgentDisconnected:
    """Tell that an agent's keys were forgotten."""
    return AgentDisconnected(
        agent_uuid=str(agent.id), account_id=agent.account_id, agent_id=agent.agent_id, version=agent.version
    )


def deleted(agent: Agent, reason: str) -> AgentDeleted:
    """Tell that an agent is gone."""
    return AgentDeleted(
        agent_uuid=str(agent.id),
        account_id=agent.account_id,
        agent_id=agent.agent_id,
        reason=reason,
        version=agent.version,
    )
