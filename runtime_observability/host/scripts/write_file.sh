# Makes standard input the file $FILE in $DIRECTORY.
set -eu
put "$DIRECTORY/$FILE"
