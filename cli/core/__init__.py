"""Pure decisions: no I/O; time is an argument."""
