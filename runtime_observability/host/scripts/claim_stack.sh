# Notes in the stack's folder $DIRECTORY whose it is: $CLAIM. Runs before anything is created.
set -eu
umask 077
mkdir -p "$DIRECTORY"
printf '%s\n' "$CLAIM" >"$DIRECTORY/.stack.json"
mv "$DIRECTORY/.stack.json" "$DIRECTORY/stack.json"
