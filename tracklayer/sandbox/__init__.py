"""The platform emulator that ``tracklayer sandbox``, ``tracklayer up --sandbox`` and the tests deliver to.

It answers as the platforms' own APIs would, at ``{base}/{platform}{path of the real API}``. It reads the
platforms' documentation for itself and imports nothing of ours: a mapper's mistake must not be shared by what
checks it.
"""

from __future__ import annotations

from tracklayer.sandbox.app import build_sandbox
from tracklayer.sandbox.engine import Limits
from tracklayer.sandbox.server import SandboxServer, run_sandbox

__all__ = ["Limits", "SandboxServer", "build_sandbox", "run_sandbox"]
