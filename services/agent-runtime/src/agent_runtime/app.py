"""The list of doors, and what those who come in may ask for."""

from agent_runtime.agents.controllers import AgentController, ExportController
from agent_runtime.canvas.controllers import CanvasController
from agent_runtime.channels.controllers import ChannelController
from agent_runtime.configuration.controllers import ConfigurationController
from agent_runtime.cron.controllers import CronController
from agent_runtime.delegation.controllers import DelegationController
from agent_runtime.factory import Factory
from agent_runtime.memory.controllers import MemoryController
from agent_runtime.monitoring.controllers import MonitoringController, asked_span
from agent_runtime.runs.controllers.messages import MessageController
from agent_runtime.runs.controllers.runs import ApprovalController, RunController
from agent_runtime.sessions.controllers import SessionController
from agent_runtime.skills.controllers import SkillController
from agent_runtime.sockets.controllers import socket_doors
from agent_runtime.tools.controllers import McpServerController, ToolController
from agent_runtime.voice.controllers import VoiceController
from shoal.http.app import create_app as create_http_app
from shoal.http.door import Door


def create_app(factory: Factory) -> Door:
    """Make the application: every door of this service, behind the library's."""
    return create_http_app(
        factory.resources,
        controllers=[
            AgentController,
            ExportController,
            SessionController,
            MessageController,
            RunController,
            ApprovalController,
            ToolController,
            McpServerController,
            MemoryController,
            SkillController,
            ConfigurationController,
            CronController,
            DelegationController,
            CanvasController,
            ChannelController,
            VoiceController,
            MonitoringController,
            *socket_doors(factory.browsers.page_socket, factory.browsers.canvas_socket, factory.browsers.chat_socket),
        ],
        dependencies={
            "known": factory.agents,
            "sessions": factory.sessions,
            "session_lifecycle": factory.session_lifecycle,
            "messages": factory.runs.messages,
            "turns": factory.runs.turns,
            "following": factory.runs.following,
            "approvals": factory.runs.approvals,
            "toolbox": lambda: factory.tools.toolbox,
            "mcp_servers": factory.tools.mcp_servers,
            "memories": factory.knowledge.memories,
            "installed": factory.knowledge.skills,
            "configurations": factory.configurations,
            "gateway_port": factory.gateway_port,
            "cron_jobs": factory.cron_jobs,
            "delegations": factory.delegations,
            "delegation_rules": factory.delegation_rules,
            "canvases": factory.canvases,
            "channel_list": factory.channel_list,
            "voices": factory.voices,
            "reports": factory.reports,
            "budgets": factory.budgets,
            "span": asked_span,
        },
    )
