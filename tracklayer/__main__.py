"""``python -m tracklayer`` is ``tracklayer``: what is typed begins here."""

from __future__ import annotations

import gc
import signal
import sys

# Ctrl-C while all of this loads ends the process by the signal, and with no trace of what it was loading. From where a command
# runs, ``main`` has it raise KeyboardInterrupt again.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# What is loaded stays: to look through it again and again for what is no longer needed is a third of what a command costs.
# ``main`` turns that on again when all is there.
gc.disable()

from tracklayer.cli import main  # noqa: E402 - after the lines above: it loads what they are for

if __name__ == "__main__":
    sys.exit(main())
