# Removes everything of $OWNER that is left in Docker, but the volumes $KEPT_VOLUMES, if any are named;
# then the stack's folder $DIRECTORY, but what others have in its kubeconfig, and what has its $CLAIM below the
# working folder, which is the project's: that may have been moved or copied since.
# Pulumi's state contains this script and runs it from there: it needs only docker, grep and rm.
set -eu

kept=${KEPT_VOLUMES:-}
owned="label=runtime-observability.owner=$OWNER"
# As in the sweep of the cluster: a k3d that outlived a killed run may still create nodes.
clean=0 attempts=0 errors=
while :; do
  containers=$(docker ps -a --filter "$owned" --format '{{.Names}}')
  networks=$(docker network ls -q --filter "$owned") # by id: two networks can have the same name
  volumes=$(docker volume ls -q --filter "$owned")
  for volume in $kept; do
    volumes=$(echo "$volumes" | grep -vxF "$volume") || :
  done
  if [ -z "$containers$networks$volumes" ]; then
    clean=$((clean + 1))
    [ -e "$DIRECTORY/cluster.busy" ] && [ "$clean" -lt 2 ] || break
    sleep 1
  else
    [ "$attempts" -eq 0 ] || sleep 1
    clean=0 attempts=$((attempts + 1))
    if [ "$attempts" -gt 20 ]; then
      networks=$(docker network ls --filter "$owned" --format '{{.Name}}')
      echo "stack $STACK: could not remove:" $containers $networks $volumes "($errors)." \
        "$AGAIN" >&2
      exit 1
    fi
    errors=
    [ -z "$containers" ] || errors=$(docker rm -fv $containers 2>&1 >/dev/null) || :
    errors="$errors $(remove_networks $networks 2>&1 >/dev/null)"
    [ -z "$volumes" ] || errors="$errors $(docker volume rm -f $volumes 2>&1 >/dev/null)" || :
  fi
done
# Removes the volumes that Docker made for nodes and that outlived them, as after `docker rm` of one, or where
# Docker was killed meanwhile: no label tells whose they are, so ensure has noted them in the stack's folder $1.
# One that a container of others has stays, and is told.
remove_node_volumes() {
  noted=$1/node.volumes errors=
  [ -f "$noted" ] || return 0
  volumes=$(docker volume ls -q --filter dangling=true | grep -xF -f "$noted") || :
  [ -z "$volumes" ] || errors=$(docker volume rm -f $volumes 2>&1 >/dev/null) || :
  for volume in $(docker volume ls -q | grep -xF -f "$noted"); do
    users=$(docker ps -a --filter "volume=$volume" --format '{{.Names}}')
    if [ -z "$users" ]; then
      echo "stack $STACK: could not remove: $volume ($errors). $AGAIN" >&2
      exit 1
    fi
    echo "stack $STACK: volume $volume of a node stays, because" $users "has it;" \
      "\`docker volume rm $volume\` removes it after that" >&2
  done
}

# Moves the kubeconfig of the stack's folder $1 beside it if it has entries of others.
keep_kubeconfig() {
  others=$(names_of_others "$1" "$CLUSTER")
  [ -n "$others" ] || return 0
  mv "$1/kubeconfig" "$1.kubeconfig"
  echo "stack $STACK: entries of others in its kubeconfig stay in $1.kubeconfig, from where the next up" \
    "takes them back; \`rm '$1.kubeconfig'\` removes them:" $others >&2
}

here=.stacks/${DIRECTORY##*/} claim=
[ ! -f "$here/stack.json" ] || IFS= read -r claim <"$here/stack.json" || :
[ "$claim" = "${CLAIM:-}" ] || claim=
if [ -n "$claim" ] && [ ! -f "$DIRECTORY/stack.json" ]; then
  # The project was moved. For a node that has started since, Docker has made the folder again that it
  # mounts, with those above it: they are root's.
  if rm -rf "${DIRECTORY:?}" 2>/dev/null; then
    rmdir "${DIRECTORY%/*}" "${DIRECTORY%/*/*}" 2>/dev/null || :
  else
    echo "stack $STACK: empty folders that Docker has made stay where the project was;" \
      "\`sudo rmdir -p '$DIRECTORY/node'\` removes them" >&2
  fi
else
  remove_node_volumes "$DIRECTORY"
  keep_kubeconfig "$DIRECTORY"
  remove "${DIRECTORY:?}"
fi
if [ -n "$claim" ]; then
  remove_node_volumes "$here"
  keep_kubeconfig "$here"
  remove "$here"
fi
for volume in $kept; do
  docker volume inspect "$volume" >/dev/null 2>&1 || continue
  echo "stack $STACK: its traces stay in Docker's volume $volume, where the next up with that" \
    "store finds them; \`docker volume rm $volume\` removes them" >&2
done
if [ -n "${KEPT_ELSEWHERE:-}" ]; then
  echo "stack $STACK: its traces stay in $KEPT_ELSEWHERE" >&2
fi
