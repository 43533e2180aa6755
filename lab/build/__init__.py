"""Builds programs and images, each once for every content of its inputs."""
