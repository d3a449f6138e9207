"""What people are told of, and how alerts go about it; no I/O."""
