# shellcheck shell=bash
# Processes of a script's own, in a folder that goes with them; sourced by scripts,
# with PATH as they want it. Leaves `home`, the folder, and `pids`, by name.

home=$(mktemp -d)
declare -A pids=()

cleanup() {
    local status=$?
    trap - EXIT
    if [ "$status" -ne 0 ]; then
        tail -n 15 "$home"/*.log >&2 2> /dev/null || true
    fi
    for name in "${!pids[@]}"; do kill -9 "${pids[$name]}" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf "$home"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '%s\n' "$*"; }

# needs TOOL...: fails unless all are there.
needs() {
    local tool
    for tool; do
        command -v "$tool" > /dev/null || { echo "please install $tool" >&2; exit 1; }
    done
}

# start NAME COMMAND...: runs it in the background, its output in NAME.log.
start() {
    local name=$1
    shift
    "$@" > "$home/$name.log" 2>&1 &
    pids[$name]=$!
    disown
}

# until_true WHAT COMMAND...: looks again until the command succeeds, 30 s at most.
until_true() {
    local what=$1 end=$((SECONDS + 30))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "waited in vain: $what" >&2; return 1; }
        read -r -t 0.1 <> <(:) || true
    done
}

# A port that nobody has right now.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if ! listens "$port"; then
            echo "$port"
            return
        fi
    done
}

# listens PORT: whether connections are taken there.
listens() { (: < "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# logged NAME PATTERN: what the pattern's group matches in NAME.log.
logged() { sed -n "s/.*$2.*/\1/p" "$home/$1.log" | head -n 1 | grep .; }
