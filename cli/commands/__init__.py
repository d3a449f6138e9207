"""One module a command group: flags and words; the work is in the packages beside it."""
