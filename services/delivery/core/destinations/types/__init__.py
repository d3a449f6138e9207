"""The types of destinations, a module each with its `KIND`; core/destinations/registry.py finds them."""
