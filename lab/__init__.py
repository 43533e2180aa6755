"""Everything the project needs, made from package registries where nothing else is reachable."""
