"""One file for each command: options in, printed answer and exit code out."""
