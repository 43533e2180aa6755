"""What the API server was asked in a period: by whom, for what, and how long it took."""
