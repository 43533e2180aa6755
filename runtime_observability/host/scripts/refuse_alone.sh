# Fails, so that the script after it removes nothing, while a cluster of $OWNER stands beside a Jaeger,
# a collector or another container of $OWNER. Where the whole stack goes, or all that is on its network
# is replaced, one of the two has gone before: here Pulumi was told to replace this guard alone. That of the
# network NETWORK costs only nodes which are on it.
# Pulumi's state contains this script and runs it from there: it needs only docker.
set -eu

cluster='' beside=''
if [ -n "${NETWORK:-}" ]; then
  network=$(docker network ls -q --filter "label=runtime-observability.owner=$OWNER" \
    --filter "name=^${NETWORK}\$")
  [ -n "$network" ] || exit 0
  on_it=$(docker ps -aq --filter "label=runtime-observability.owner=$OWNER" \
    --filter "network=$network" --filter label=k3d.cluster)
  [ -n "$on_it" ] || exit 0
fi
containers=$(docker ps -a --filter "label=runtime-observability.owner=$OWNER" \
  --format '{{.Label "k3d.cluster"}}:{{.Names}}')
for container in $containers; do
  case $container in
    :*) beside=yes ;;
    rehearsal-*) ;;
    *) cluster=${container%%:*} ;;
  esac
done
if [ -n "$cluster" ] && [ -n "$beside" ]; then
  echo "nothing was removed: the delete of this resource takes cluster $cluster along, with its" \
    "workloads, and Pulumi was not about to replace that. Run \`pulumi up\` without --replace and" \
    "--target-replace, after \`pulumi state untaint --all\` if the resource was tainted. One that was" \
    "renamed in Pulumi's state is forgotten with \`pulumi state delete\`. If Pulumi's state has lost the" \
    "cluster, or is of another Docker, give Pulumi its state back (\`pulumi stack import --file EXPORT\`), or" \
    "give the cluster up: \`k3d cluster delete $cluster\`, and then this goes on" >&2
  exit 1
fi
