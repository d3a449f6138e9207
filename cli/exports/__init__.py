"""Asking for exports, watching and downloading them."""
