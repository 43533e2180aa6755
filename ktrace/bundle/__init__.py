"""What was asked and answered, as one file: written by --save, answered from by --from.

``session`` is the seam: the clients of Jaeger and of the API server, the target and the clock are
asked for there, and a recording or a replay gives its own. All that is above does not know of it.
"""
