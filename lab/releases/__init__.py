"""The official releases of the command-line tools, for machines that lack a tool."""
