"""Development's conveniences: a whole installation on one machine, from one command."""
