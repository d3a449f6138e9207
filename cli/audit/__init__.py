"""The audit trail: listing, taking it home, checking it."""
