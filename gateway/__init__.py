"""Suimon: a flood-sensor gateway. A pure core of plain modules and thin shells; see README.md beside this file."""

__version__ = "0.2.0"
