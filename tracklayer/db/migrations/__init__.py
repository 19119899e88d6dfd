"""Numbered, plain SQL, never edited once landed. Run by ``db.migrate``."""
