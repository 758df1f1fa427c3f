"""Whole nights in virtual time: a city of stations, the bridge's own writer on a real store, people and their media."""
