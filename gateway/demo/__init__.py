"""The demonstration: a whole small system on one machine, real processes, one shared clock, and an account."""
