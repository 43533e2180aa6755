# Makes the note $NOTE in $DIRECTORY: the cluster of the configuration $DIGEST, or with an empty one
# Jaeger and the collector, are not to be deleted.
set -eu
printf '%s\n' "$DIGEST" | put "$DIRECTORY/$NOTE"
