"""Faults against real processes, and the account that must close after them."""
