"""The `waybill` command: a client of the public APIs, and the operator's tool."""
