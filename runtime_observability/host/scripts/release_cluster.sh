# Lets the delete that comes next remove the cluster. Runs before the cluster's guard is destroyed.
# Pulumi's state contains this script and runs it from there: it needs only rm.
set -eu
remove "$DIRECTORY/$NOTE"
