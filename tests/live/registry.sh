# shellcheck shell=sh
# A registry of one image under any name, for the network that it runs in: on port $1, its layer takes
# $2 seconds, and every request needs the login $3, if that is given: base64 of USER:PASSWORD.
# The image has busybox alone, and a file that makes its layer another one each time.
set -eu
mkdir -p /srv/files/bin && cd /srv
cp /bin/busybox files/bin/busybox
cat /proc/sys/kernel/random/uuid >files/uuid
tar -cf layer -C files .

digest() { sha256sum "$1" | cut -d ' ' -f 1; }
size() { wc -c <"$1" | tr -d ' '; }
described() { # MEDIA_TYPE FILE
  printf '{"mediaType":"%s","digest":"sha256:%s","size":%s}' "$1" "$(digest "$2")" "$(size "$2")"
}

case $(uname -m) in aarch64) architecture=arm64 ;; *) architecture=amd64 ;; esac
printf '{"architecture":"%s","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
  "$architecture" "$(digest layer)" >config
manifest=application/vnd.oci.image.manifest.v1+json
printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' "$manifest" \
  "$(described application/vnd.oci.image.config.v1+json config)" \
  "$(described application/vnd.oci.image.layer.v1.tar layer)" >manifest
for file in config layer manifest; do ln -sf "/srv/$file" "/srv/$(digest $file)"; done

cat >answer <<'ANSWER'
read -r -t 1 method path _ || exit # containerd tries TLS first
login=none
while read -r header && [ "${header%?}" ]; do
  case $header in "Authorization: Basic "*) login=${header#*Basic } ;; esac
done
if [ 'LOGIN' ] && [ "${login%?}" != 'LOGIN' ]; then
  printf 'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nWWW-Authenticate: Basic realm="test"\r\n'
  printf 'Content-Length: 0\r\n\r\n'
  exit
fi
path=${path%%\?*} # a mirror is told which registry it stands for
case $path in
*/manifests/*) file=/srv/manifest type=MANIFEST ;;
*/blobs/*) file=/srv/${path##*sha256:} type=application/octet-stream ;;
*) file=/dev/null type=text/plain ;;
esac
[ "$method" = GET ] && [ /srv/layer -ef "$file" ] && sleep SECONDS
printf 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %s\r\n' \
  "$type" "$(wc -c <"$file" | tr -d ' ')"
printf 'Docker-Content-Digest: sha256:%s\r\n\r\n' "$(sha256sum "$file" | cut -d ' ' -f 1)"
[ "$method" = HEAD ] || cat "$file"
ANSWER
sed -i "s|MANIFEST|$manifest|; s|SECONDS|$2|; s|LOGIN|${3:-}|g" answer
# -lk or -ll: busybox has two programs of that name, and either knows one of these.
busybox nc -lk -p "$1" -e sh /srv/answer || exec busybox nc -ll -p "$1" -e sh /srv/answer
