"""How a pod ends: from the request that deletes it until nothing of it is left."""
