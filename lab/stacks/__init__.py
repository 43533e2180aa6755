"""Stacks of this project: their settings files, and Pulumi's commands on them."""
