"""Heavy tests of trace stores, which `make stores` runs."""
