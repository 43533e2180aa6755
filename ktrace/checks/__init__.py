"""What ``ktrace doctor`` checks."""
