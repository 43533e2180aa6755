"""``python -m ktrace``: the same as the installed command."""

from ktrace.cli import main

main()
