# Removes the file $FILE in $DIRECTORY, and the folder with the last one.
# Pulumi's state contains this script and runs it from there: it needs only rm.
set -eu
remove "$DIRECTORY/$FILE"
rmdir "$DIRECTORY" 2>/dev/null || :
