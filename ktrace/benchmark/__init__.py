"""How long pods take to start: measured by many starts, and compared with other measurements."""
