# Notes in $DIRECTORY, as $NOTE, that the cluster of the configuration $DIGEST is not to be deleted.
set -eu
printf '%s\n' "$DIGEST" | put "$DIRECTORY/$NOTE"
