"""Benchmarks: figures measured here and now, with a limit where one is promised. Not part of `make test`."""
