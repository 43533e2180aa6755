"""The files for GitHub."""
