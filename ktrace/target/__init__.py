"""Which stack, Jaeger and cluster a command is about."""
