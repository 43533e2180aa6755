# Removes the note $NOTE, so that the delete that comes next goes on. Runs before the guard that the
# note is for is destroyed.
# Pulumi's state contains this script and runs it from there: it needs only rm.
set -eu
remove "$DIRECTORY/$NOTE"
