"""`python -m emap_core`."""

import sys

from emap_core.cli import main

sys.exit(main())
