"""The stack's configuration: what it may be, and every problem with it at once."""
