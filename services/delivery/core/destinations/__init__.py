"""What destinations decide, without I/O."""
