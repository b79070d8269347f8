#!/usr/bin/env bash
# Two gateways over one Redis behind a TCP load balancer, without containers: a
# login through the balancer, then one whose gateway is killed in the middle.
#
#   tests/two_replicas.sh           shows both and ends
#   tests/two_replicas.sh --stay    keeps everything running, for you to play with
#
# Needs redis-server and haproxy on the PATH, curl, and the gateway, which it builds.
# All ports are the system's choice, on the loopback address.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian keeps haproxy where only root looks.
export PATH="$PATH:/usr/sbin"

stay=false
[ "${1:-}" != "--stay" ] || stay=true
# shellcheck source=tests/processes.sh
source tests/processes.sh
needs redis-server haproxy curl cargo

cargo build --locked --quiet
gateway=$PWD/target/debug/ciba-gateway

redis_port=$(free_port)
start redis redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$home" --save "" --appendonly yes
start simulator "$gateway" simulator --listen 127.0.0.1:0 --interval 1
until_true "the simulator listens" logged simulator '\(http:[^ ]*access\/\)'
issuer=$(logged simulator '\(http:[^ ]*access\/\)')
simulator=${issuer%/access-management*}

api_key="cgk_$(head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_' | tr -d '=')"
cat > "$home/gateway.toml" << TOML
[grpc]
listen = "127.0.0.1:0"
[http]
listen = "127.0.0.1:0"
[store]
kind = "redis"
url = "redis://127.0.0.1:$redis_port"
[keys]
hash_key = "$(head -c 32 /dev/urandom | base64 -w 0)"
active_seal_key = "first"
seal = { first = "$(head -c 32 /dev/urandom | base64 -w 0)" }
[[tenants]]
id = "nordlys"
default_country = "NO"
[tenants.provider]
issuer = "$issuer"
allow_insecure_hosts = true
client_id = "demo-client"
client_secret = "demo-secret"
[[tenants.clients]]
id = "desk"
channels = ["call-centre", "point-of-sale", "tv-box"]
api_keys = [{ sha256 = "$(printf %s "$api_key" | sha256sum | cut -d ' ' -f 1)" }]
TOML

for name in gateway-1 gateway-2; do start "$name" "$gateway" serve --config "$home/gateway.toml"; done
for name in gateway-1 gateway-2; do
    until_true "$name listens" logged "$name" ' grpc=\([0-9.:]*\)'
    until_true "$name is ready" curl -sf "http://$(logged "$name" ' http=\([0-9.:]*\)')/readyz"
done

balancer_port=$(free_port)
cat > "$home/haproxy.cfg" << CFG
global
    noreuseport
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
listen gateways
    bind 127.0.0.1:$balancer_port
    balance leastconn
    option httpchk GET /readyz
    default-server inter 200ms fall 1 rise 1
$(for name in gateway-1 gateway-2; do
    echo "    server $name $(logged "$name" ' grpc=\([0-9.:]*\)') check addr 127.0.0.1 port $(logged "$name" ' http=127.0.0.1:\([0-9]*\)')"
done)
CFG
start balancer haproxy -db -f "$home/haproxy.cfg"
export CIBA_SERVER="http://127.0.0.1:$balancer_port" CIBA_API_KEY="$api_key"
until_true "the balancer takes connections" listens "$balancer_port"
say "Redis, a simulated provider, two gateways and a load balancer run."

login() { "$gateway" login "$1" --channel point-of-sale; }
asked() { curl -sf "$simulator/phone/api/requests?phone=$1" | grep -q handle; }
approve() { curl -sf -X POST "$simulator/control/logins/$1/approve" > /dev/null; }

# A Redis that is used for the first time is left alone for some seconds.
until_true "the first login is taken" login +4790000002
say "✓ a login through the balancer: approved"

if $stay; then
    say "" "Kill one of them and go on: kill -9 ${pids[gateway-1]} or kill -9 ${pids[gateway-2]}" \
        "  export CIBA_SERVER=$CIBA_SERVER CIBA_API_KEY=$CIBA_API_KEY" \
        "  $gateway login +4712345678 --channel point-of-sale" "  $gateway watch" \
        "  the phones: $simulator/phone" "Ctrl-C ends everything."
    while :; do read -r -t 3600 <> <(:) || true; done
fi

start login "$gateway" login +4712345678 --channel point-of-sale
until_true "the phone is asked" asked 4712345678
owner="gateway-1"
grep -q 'the phone is asked.*+47…78' "$home/gateway-1.log" || owner="gateway-2"
kill -9 "${pids[$owner]}"
say "✓ another login is pending; its gateway was killed with -9"
until_true "the phone approves" approve 4712345678
other="gateway-2"
[ "$owner" = gateway-1 ] || other="gateway-1"
# Both gateways have ended logins before; only this one was taken over.
login_id=$(logged login 'login \([^ ]*\)  phone')
until_true "the other gateway ends the login" grep -q "login ended login.id=$login_id .*outcome=\"approved\"" "$home/$other.log"
until_true "its caller sees the approval" grep -q '✓ approved' "$home/login.log"
until_true "a new login is taken" login +4790000002
say "✓ the other gateway took it over: approved; and new logins are taken"
