"""Run this service alone: `python -m gateway`."""

import sys

from shoal.cli import main

sys.argv[1:] = ["run", "gateway"]
main()
