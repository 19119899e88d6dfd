"""What the monitors look at, a file a watch; ``page`` says what a watch is."""
