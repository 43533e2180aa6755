"""A private Docker daemon, for a machine that has none.

It is Debian's docker.io run without a service manager. Its socket, data, bridge and logs are under
one folder of the cache, so that `stop` and deleting that folder restore the machine.
"""
