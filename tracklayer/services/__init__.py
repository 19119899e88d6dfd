"""The verbs, one file each: they open transactions and talk to the world. None of them wakes an actor."""
