# Removes volume $VOLUME of $OWNER, unless it is to be kept ($KEEP is not empty).
# Pulumi's state contains this script and runs it from there: it needs only docker.
set -eu

[ -z "$KEEP" ] || exit 0
found=$(docker volume ls -q --filter "name=^$VOLUME\$" --filter "label=runtime-observability.owner=$OWNER")
[ -z "$found" ] || docker volume rm "$found" >/dev/null
