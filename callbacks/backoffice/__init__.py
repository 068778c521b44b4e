"""The back-office pages of callbacks, and those that join apps: settings, transaction detail, search."""
