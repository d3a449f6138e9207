"""What a request asks for: what it is known by, and its body checked field by field and resolved to a plan."""
