"""The fuzz: tens of thousands of bad requests at the two doors that face strangers.

The promise on trial: no input makes a 5xx, kills a worker, is answered later than in a second, leaks
memory, or is refused and changes something all the same. `python -m tests.fuzz --help`.

`cases` makes requests from a seed, `wire` sends their exact bytes, `verdict` judges the answers, `world`
is the installation they are sent at, `trial` runs it all and adds it up.
"""
