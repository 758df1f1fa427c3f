"""Scoring: how well would the alarm have done? A recording goes through the bridge's own work, without store, broker or
people, in virtual time; what was said is then held against what the recording shows.

`truth` what a series shows; `playing` a series through the bridge's work; `judging` the one against the other;
`site` a station for a recording that nobody has configured; `lists` national lists of crisis gauges.
"""
