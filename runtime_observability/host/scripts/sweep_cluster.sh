# Removes the k3d cluster $CLUSTER, complete or not, if $OWNER owns it, and waits until it is gone.
# Pulumi's state contains this script and runs it from there: it needs only docker and rm.
set -eu

nodes=$(docker ps -a --filter "label=k3d.cluster=$CLUSTER" \
  --format '{{.Label "k3d.role"}}:{{.Label "runtime-observability.owner"}}')
owned='' unowned=''
for node in $nodes; do
  case $node in
    server:"$OWNER" | agent:"$OWNER") owned=yes ;;
    server: | agent:) unowned=yes ;; # `k3d node create` gives a node no labels but k3d's own
    server:* | agent:*)
      echo "cluster $CLUSTER belongs to another stack or folder and is not removed" >&2
      exit 0
      ;;
  esac
done
if [ -n "$unowned" ] && [ -z "$owned" ]; then
  # Nobody but `k3d node create` for this cluster brings a node into the stack's own network.
  for network in $(docker network ls -q --filter "label=runtime-observability.owner=$OWNER"); do
    owned=$owned$(docker ps -aq --filter "label=k3d.cluster=$CLUSTER" --filter "network=$network")
  done
fi
if [ -n "$unowned" ] && [ -z "$owned" ]; then
  echo "cluster $CLUSTER has no node of this stack and is not removed;" \
    "\`k3d cluster delete $CLUSTER\` removes it" >&2
  exit 0
fi

# Where Pulumi was given an older state, the guard in it, of the configuration $DIGEST, is not that
# of the cluster that stands: an up keeps it, if it is as wanted. A destroy comes without $DIGEST, too.
specs=
[ -z "${DIGEST:-}" ] || specs=$(docker ps -a --filter "label=k3d.cluster=$CLUSTER" \
  --filter "label=runtime-observability.owner=$OWNER" \
  --format '{{.Label "runtime-observability.spec"}}')
for spec in $specs; do
  [ "$spec" != "$DIGEST" ] || continue
  echo "Pulumi's state is older than cluster $CLUSTER, which is left as it is" >&2
  exit 0
done

# A k3d that outlived its run may still create nodes: after a run that was killed, which leaves its
# mark, this stops when two checks in a row find nothing.
clean=0 attempts=0 errors=
while :; do
  containers=$(docker ps -a --filter "label=k3d.cluster=$CLUSTER" --format '{{.Names}}')
  volumes=$(docker volume ls -q --filter "label=k3d.cluster=$CLUSTER")
  if [ -z "$containers$volumes" ]; then
    clean=$((clean + 1))
    [ -e "$DIRECTORY/cluster.busy" ] && [ "$clean" -lt 2 ] || break
    sleep 1
  else
    [ "$attempts" -eq 0 ] || sleep 1
    clean=0 attempts=$((attempts + 1))
    if [ "$attempts" -gt 20 ]; then
      echo "cluster $CLUSTER: could not remove:" $containers $volumes "($errors). $AGAIN" >&2
      exit 1
    fi
    errors=
    [ -z "$containers" ] || errors=$(docker rm -fv $containers 2>&1 >/dev/null) || :
    [ -z "$volumes" ] || errors="$errors $(docker volume rm -f $volumes 2>&1 >/dev/null)" || :
  fi
done
[ -n "$(names_of_others "$DIRECTORY" "$CLUSTER")" ] || remove "${DIRECTORY:?}/kubeconfig"
remove "${DIRECTORY:?}/cluster.json"
