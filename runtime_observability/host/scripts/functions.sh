# What the scripts share; their texts come after this one.

# A bash that is the machine's sh has what its user exported: `docker` may be a function for another engine,
# and `set -x` would show a login.
set +x
unset -f cat docker grep head mkdir mv rm rmdir sed sleep sort tail tr

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

# Removes the networks $@, and disconnects from them what is on them, such as a registry.
remove_networks() {
  for network in "$@"; do
    for container in $(docker ps -aq --filter "network=$network"); do
      docker network disconnect -f "$network" "$container" || :
    done
    docker network rm "$network" || :
  done
}

# The names in the kubeconfig of the stack's folder $1 that are not k3d's for the cluster $2: KUBECONFIG of
# the stack's shell names that file, so `kubectl config` and the tools of other clusters write into it, each
# in its own style: keys are indented as the first one is, in braces, or all is JSON.
names_of_others() {
  [ -f "$1/kubeconfig" ] || return 0
  keys=$(sed -n '/^ *- /{s/-\( *\).*/ \1/p;q;}' "$1/kubeconfig") in_braces=' \{0,1\}'
  [ "$(head -c 1 "$1/kubeconfig")" != '{' ] || in_braces='[[:blank:]]*'
  tr '{},' '\n' <"$1/kubeconfig" | tr -d "\"'\r" |
    sed -n -e 's/^\( *\)-\( *name:\)/\1 \2/' -e "s/^${keys}name: *//p" -e "s/^${in_braces}name: *//p" |
    grep -vxF -e "k3d-$2" -e "admin@k3d-$2" | sort -u || :
}

# Ends a script that Pulumi runs because it was told to, and that would cost the cluster $1.
refuse_to_remove() {
  echo "cluster $1 was not removed: this is no \`pulumi destroy\`, or one whose state lacks resources, and no" \
    "other cluster was seen to start in its place. Run \`pulumi up\` without --replace and --target-replace," \
    "after \`pulumi state untaint --all\` if a guard or the network was tainted; then \`pulumi destroy\` if" \
    "that was meant. A resource that was renamed in Pulumi's state is forgotten with \`pulumi state" \
    "delete\`. If this is an older release of the program, run the newer one, which made this stack: it" \
    "changes back what this one has begun. To have the cluster anew, without its workloads, run \`k3d cluster" \
    "delete $1\` and then \`pulumi up\`" >&2
  exit 1
}
