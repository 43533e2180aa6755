"""A private Docker daemon, for a machine that has none.

It is Debian's docker.io in network, mount and PID namespaces of its own, run without a service
manager and without being installed. Its bridges, firewall rules, network settings and mounts exist
in these namespaces alone and vanish with them. Its socket, data and logs are in one folder of the
cache. The host sees its processes, its cgroups and the ports that it publishes.
"""
