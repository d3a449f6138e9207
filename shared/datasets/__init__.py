"""The datasets that an export can ask for: one module each, found by the registry."""
