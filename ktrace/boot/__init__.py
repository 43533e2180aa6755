"""The cluster's own start as a timeline: what made ``up`` take its seconds."""
