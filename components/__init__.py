"""The parts of a stack: one file per component, and what they share."""
