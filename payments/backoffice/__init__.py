"""The back-office pages of money: balances, currencies and fees, transactions, addresses."""
