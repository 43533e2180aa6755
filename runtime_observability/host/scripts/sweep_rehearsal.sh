# Removes the k3d cluster $REHEARSAL, in which a replacement was rehearsed, with its network, to which
# k3d has connected the registries in use: they are disconnected from it.
# Pulumi's state contains this script and runs it from there: it needs only docker and rm.
set -eu

# Stops when nothing is found, twice if anything was: a k3d that outlived its run creates nodes.
clean=0 attempts=0 errors=
while :; do
  containers=$(docker ps -aq --filter "label=k3d.cluster=$REHEARSAL")
  volumes=$(docker volume ls -q --filter "label=k3d.cluster=$REHEARSAL")
  networks=$(docker network ls -q --filter "name=^k3d-$REHEARSAL\$")
  if [ -z "$containers$volumes$networks" ]; then
    clean=$((clean + 1))
    [ "$attempts" -gt 0 ] && [ "$clean" -lt 2 ] || break
    sleep 1
  else
    [ "$attempts" -eq 0 ] || sleep 1
    clean=0 attempts=$((attempts + 1))
    if [ "$attempts" -gt 20 ]; then
      echo "cluster $REHEARSAL: could not remove:" $containers $volumes $networks "($errors)." \
        "$AGAIN" >&2
      exit 1
    fi
    errors=
    [ -z "$containers" ] || errors=$(docker rm -fv $containers 2>&1 >/dev/null) || :
    [ -z "$volumes" ] || errors="$errors $(docker volume rm -f $volumes 2>&1 >/dev/null)" || :
    errors="$errors $(remove_networks $networks 2>&1 >/dev/null)"
  fi
done
[ ! -e "$DIRECTORY/rehearsal" ] || remove "${DIRECTORY:?}/rehearsal"
