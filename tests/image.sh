#!/usr/bin/env bash
# The container image, packed from the binary that the tests have: the same digest
# twice, and it runs alone as its own user; and the list of the binary's parts.
#
# Needs root, because it changes the root folder; buildah, cargo-cyclonedx, haproxy,
# openssl, curl and Python.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="$PATH:/usr/sbin"
# shellcheck source=tests/processes.sh
source tests/processes.sh
needs cargo buildah haproxy openssl curl python3 strip chroot

cargo build --locked --quiet
strip -o "$home/ciba-gateway" target/debug/ciba-gateway

for to in one two; do deploy/image.sh --binary "$home/ciba-gateway" --to "$home/$to"; done
cmp "$home/one/digest" "$home/two/digest"
say "✓ packed twice: the same digest"

python3 tests/image.py parts "$home/one/ciba-gateway.cdx.json"
python3 tests/image.py unpack "$home/one/ciba-gateway.tar" "$home/root"
cmp "$home/root/usr/bin/ciba-gateway" "$home/ciba-gateway"

inside=(chroot --userspec=10001:10001 "$home/root" /usr/bin/ciba-gateway)
"${inside[@]}" --version
"${inside[@]}" demo > "$home/demo.log" 2>&1
say "✓ the demo runs in it: $(tail -n 1 "$home/demo.log")"

# A provider with a name and a certificate of its own authority: what names and
# authorities there are, the image says.
name=provider.test
tls_port=$(free_port)
plain_port=$(free_port)
new_key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "$@" 2> /dev/null; }
new_key -x509 -days 2 -subj "/CN=authority" -keyout "$home/authority.key" -out "$home/authority.pem"
new_key -subj "/CN=$name" -keyout "$home/server.key" -out "$home/server.csr"
openssl x509 -req -in "$home/server.csr" -CA "$home/authority.pem" -CAkey "$home/authority.key" -CAcreateserial -days 2 \
    -extfile <(echo "subjectAltName=DNS:$name") -out "$home/server.pem" 2> /dev/null
cat "$home/server.key" >> "$home/server.pem"
cat > "$home/haproxy.cfg" << CFG
defaults
    mode http
    timeout connect 2s
    timeout client 1m
    timeout server 1m
listen provider
    bind 127.0.0.1:$tls_port ssl crt $home/server.pem
    server simulator 127.0.0.1:$plain_port
CFG
start simulator "${inside[@]}" simulator --listen "127.0.0.1:$plain_port" --public-url "https://$name:$tls_port"
start tls haproxy -db -f "$home/haproxy.cfg"
until_true "the provider is served over TLS" listens "$tls_port"
until_true "the simulator says its issuer" logged simulator '\(https:[^ ]*access\/\)'

echo "127.0.0.1 $name" > "$home/root/etc/hosts"
cat > "$home/root/etc/ciba-gateway/ciba-gateway.toml" << TOML
[store]
kind = "memory"
[[tenants]]
id = "nordlys"
default_country = "NO"
[tenants.provider]
issuer = "$(logged simulator '\(https:[^ ]*access\/\)')"
allow_insecure_hosts = true
client_id = "demo-client"
client_secret = "demo-secret"
[[tenants.clients]]
id = "desk"
channels = ["point-of-sale"]
api_keys = [{ sha256 = "$(printf '%064d' 0)" }]
TOML
check() { "${inside[@]}" check --config /etc/ciba-gateway/ciba-gateway.toml > "$home/check.log" 2>&1; }
# 69: the configuration is right, what it names is not.
[ "$(check; echo $?)" -eq 69 ] || { echo "a provider was believed whose authority nobody knows" >&2; exit 1; }
grep "nordlys" "$home/check.log"
cat "$home/authority.pem" >> "$home/root/etc/ssl/certs/ca-certificates.crt"
check
say "✓ it finds a provider by name and believes the authorities of the image, and no others"
