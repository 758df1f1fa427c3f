"""Every text of an alert that people may read, for a table of situations: to be read by a person in one go.

`stations.txt`, `house.txt` hold them; a test compares. After a change of words: `python -m tests.wording`, and read.
"""
