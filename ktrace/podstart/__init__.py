"""A pod's start: found in Jaeger and split into steps."""
