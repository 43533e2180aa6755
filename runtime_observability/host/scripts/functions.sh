# What the scripts share; their texts come after this one.

AGAIN='Correct that, then run the same pulumi command again'

# Makes standard input the file $1, whole or not at all, and for this user alone. Docker makes a folder
# of a file that it was told to mount and that was not there: an empty one gives way.
put() {
  umask 077
  mkdir -p "${1%/*}"
  [ ! -d "$1" ] || rmdir "$1"
  cat >"${1%/*}/.${1##*/}"
  mv "${1%/*}/.${1##*/}" "$1"
}

# Removes files and folders of the stack, and says how to go on where one stays.
remove() {
  for path in "$@"; do
    rm -rf "$path" && [ ! -e "$path" ] && continue
    echo "$path was not removed, for the reason above. $AGAIN" >&2
    exit 1
  done
}
