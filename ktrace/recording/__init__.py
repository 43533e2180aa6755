"""The forwarder in front of an API server, which records the requests of a command."""
