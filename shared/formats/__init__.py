"""The formats that a file can have: one module each, found by the registry."""
