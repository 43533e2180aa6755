# Notes in $DIRECTORY that the cluster of the configuration $DIGEST is not to be deleted.
set -eu
umask 077
mkdir -p "$DIRECTORY"
printf '%s\n' "$DIGEST" >"$DIRECTORY/.cluster.kept"
mv "$DIRECTORY/.cluster.kept" "$DIRECTORY/cluster.kept"
