"""From a chunk of an export to its parts: what the formatter does for all of an export, and a preview for its first rows."""
