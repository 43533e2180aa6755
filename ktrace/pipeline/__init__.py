"""The way of a span from a node to Jaeger: what arrives, and which hop is broken."""
