"""ktrace: asks a traced cluster what happened."""
