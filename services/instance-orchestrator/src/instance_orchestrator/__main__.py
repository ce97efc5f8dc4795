"""Run this service alone: `python -m instance_orchestrator`."""

import sys

from shoal.cli import main

sys.argv[1:] = ["run", "instance-orchestrator"]
main()
