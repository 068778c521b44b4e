"""The built-in processor: a v2 server of its own with a simulated chain, for development and tests.

It plays the upstream that Bursar would rent: it issues addresses, sees payments, confirms them over blocks,
takes withdrawals and exchanges, and calls back over real HTTP with real signatures. It is a process with a
SQLite file and keys of its own and shares nothing with Bursar but pure values. `/sim/*` plays the payers,
the miners and the faults.
"""
