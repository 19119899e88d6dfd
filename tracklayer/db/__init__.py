"""Rows in, rows out: every query by name, in the file of its aggregate. Decides nothing, maps nothing, sends nothing."""
