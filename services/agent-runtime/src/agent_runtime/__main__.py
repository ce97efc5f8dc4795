"""Run this service alone: `python -m agent_runtime`."""

import sys

from shoal.cli import main

sys.argv[1:] = ["run", "agent-runtime"]
main()
