"""`python -m emap_core`."""

import sys

try:
    from emap_core.cli import main

    code = main()
except KeyboardInterrupt:
    code = 130
sys.exit(code)
