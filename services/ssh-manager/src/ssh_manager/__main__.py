"""Run this service alone: `python -m ssh_manager`."""

import sys

from shoal.cli import main

sys.argv[1:] = ["run", "ssh-manager"]
main()
