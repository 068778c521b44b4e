"""The soak: proofs of the promises under kill -9, cut lines, dead databases and dead brokers."""
