"""TrackLayer: delivers conversion events to ad platforms, once each, and says so when it cannot."""

__version__ = "0.1.0"
