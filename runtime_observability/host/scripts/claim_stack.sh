# Notes in the stack's folder $DIRECTORY whose it is: $CLAIM. Runs before anything is created.
set -eu
printf '%s\n' "$CLAIM" | put "$DIRECTORY/stack.json"
