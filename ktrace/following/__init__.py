"""What followed from the requests of a command: their traces, and the pods of what they wrote."""
