"""``python -m dedup.cli``, the same as ``dedup``."""

import sys

from dedup.cli import main

sys.exit(main())
