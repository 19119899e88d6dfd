"""Nouns and pure rules. Nothing here sees a clock, a socket, a row or the environment."""
