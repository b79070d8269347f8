#!/bin/sh
# Makes the secrets of the compose set-up, once, into the volumes under
# /secrets, and prints the API key to call with. Runs in Redis's image.
set -eu

gateway=/secrets/gateway
redis=/secrets/redis

random() { head -c 32 /dev/urandom | base64 -w 0; }
url_safe() { tr '+/' '-_' | tr -d '='; }

if [ ! -e "$gateway/complete" ]; then
    api_key="cgk_$(random | url_safe)"
    printf '%s' "$api_key" | sha256sum | cut -d ' ' -f 1 > "$gateway/api-key-sha256"
    printf '%s' "$api_key" > "$gateway/api-key"
    random > "$gateway/hash-key"
    random > "$gateway/seal-key"
    printf 'demo-secret' > "$gateway/client-secret"

    password="$(random | url_safe)"
    printf 'redis://gateway:%s@redis:6379/0' "$password" > "$gateway/redis-url"
    printf 'user default off\n%s >%s\n' "$(cat /gateway.acl)" "$password" > "$redis/users.acl"

    # The users of the gateway's and of Redis's image.
    chown -R 10001:10001 "$gateway"
    chown -R 999:999 "$redis"
    chmod 0500 "$gateway" "$redis"
    chmod 0400 "$gateway"/* "$redis"/*
    touch "$gateway/complete"
fi

printf 'API key: %s\n' "$(cat "$gateway/api-key")"
