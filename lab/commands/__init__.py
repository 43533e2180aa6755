"""What the Makefile's targets do, one file per command."""
