"""One file for each command: options in, printed answer and exit code out.

A command's function imports what does its work: --help and completion do not wait for that.
output_file.py is shared by those that write a file.
"""
