"""What this machine has, and what has to be made and started on it before Pulumi can run."""
