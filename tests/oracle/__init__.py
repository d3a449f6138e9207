"""Waybill's files from its records, a second time: in plain Python, from the contract's texts alone (README.md here)."""

from tests.oracle.oracle import Oracle

__all__ = ["Oracle"]
