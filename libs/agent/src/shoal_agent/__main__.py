"""`python -m shoal_agent`, the same as `shoal-agent`."""

from shoal_agent.cli import app

app(prog_name="shoal-agent")
