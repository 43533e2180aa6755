# Removes the k3d cluster $CLUSTER, whole or half-made, if it is $OWNER's; stays until it is gone.
# Stored in Pulumi's state and run from there: it needs docker and rm, and no checkout.
set -eu

nodes=$(docker ps -a --filter "label=k3d.cluster=$CLUSTER" \
  --format '{{.Label "k3d.role"}}:{{.Label "runtime-observability.owner"}}')
for node in $nodes; do
  case $node in
    server:"$OWNER" | agent:"$OWNER") ;;
    server:* | agent:*)
      echo "cluster $CLUSTER belongs to another stack or folder: left alone" >&2
      exit 0
      ;;
  esac
done

# Twice in a row nothing: a k3d that outlived its run may still be creating.
quiet=0 rounds=0 said=
while :; do
  containers=$(docker ps -a --filter "label=k3d.cluster=$CLUSTER" --format '{{.Names}}')
  volumes=$(docker volume ls -q --filter "label=k3d.cluster=$CLUSTER")
  if [ -z "$containers$volumes" ]; then
    quiet=$((quiet + 1))
    [ "$quiet" -lt 2 ] || break
  else
    quiet=0 rounds=$((rounds + 1))
    if [ "$rounds" -gt 20 ]; then
      echo "cluster $CLUSTER: these stay:" $containers $volumes "($said)" >&2
      exit 1
    fi
    said=
    [ -z "$containers" ] || said=$(docker rm -fv $containers 2>&1 >/dev/null) || :
    [ -z "$volumes" ] || said="$said $(docker volume rm -f $volumes 2>&1 >/dev/null)" || :
  fi
  sleep 1
done
rm -f "$DIRECTORY/kubeconfig" "$DIRECTORY/cluster.json"
