"""What touches the machine: Docker, k3d, files, ports, the Kubernetes API."""
