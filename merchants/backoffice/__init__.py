"""The back-office pages of merchants: keys, team, audit, account; and the base that every page stands on."""
