"""The client of Jaeger's API gives the same answers whatever store a real Jaeger has."""
