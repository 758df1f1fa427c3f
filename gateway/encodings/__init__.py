"""How numbers stand in what a bus gives: one file for each encoding, all with the same four words.

`At` is the place of one number. `opened` checks the form of the whole and gives what `number` reads; None where the
form is not the profile's. `assembled` is the inverse, for the simulators. All are pure; only `assembled` raises, for a
number that does not fit its place.
"""
