"""Faults as tools: a network link that may be broken in every way in which links break."""
