"""Run this service alone: `python -m pairing`."""

import sys

from shoal.cli import main

sys.argv[1:] = ["run", "pairing"]
main()
