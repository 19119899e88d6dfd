"""``python -m tracklayer`` is ``tracklayer``."""

from __future__ import annotations

import sys

from tracklayer.cli import main

if __name__ == "__main__":
    sys.exit(main())
