#!/usr/bin/env bash
# Everything that must hold before a change is taken: format, lints, documentation,
# dependencies, API definition, scripts, deploy files, and then all tests.
#
# Needs Rust, and Debian or Ubuntu to install what else is missing (tools.sh). A tool
# that cannot be had is a failure; no check is left out in silence.
set -euo pipefail
cd "$(dirname "$0")/.."

# The toolchain of the machine; rustup shall fetch no other.
export RUSTUP_AUTO_INSTALL=0
export RUSTDOCFLAGS="-D warnings"

headline() { printf '\n== %s (at %d s)\n' "$1" "$SECONDS"; }

# The list of known holes lies outside the package registry, so it cannot be had
# everywhere.
check_advisories() {
    if timeout 120 cargo deny --locked fetch db > /dev/null 2>&1; then
        cargo deny --locked check advisories
    else
        echo "NOT CHECKED: the database of security advisories cannot be fetched from here"
    fi
}

# systemd looks for the program, which is not installed here.
check_unit() {
    local copy
    copy=$(mktemp -d)
    sed 's#^ExecStart=/usr/bin/ciba-gateway#ExecStart=/bin/true#' deploy/ciba-gateway.service > "$copy/ciba-gateway.service"
    systemd-analyze verify --man=no "$copy/ciba-gateway.service"
    rm -r "$copy"
    # In tenths: 0 is sealed off, 100 is wide open.
    systemd-analyze security --offline=true --threshold=12 --no-pager deploy/ciba-gateway.service | tail -n 1
}

headline "tools"
# shellcheck source=tests/tools.sh
source tests/tools.sh

headline "format"
cargo fmt --check
cargo fmt --check --manifest-path fuzz/Cargo.toml

headline "lints"
cargo clippy --locked --all-targets -- -D warnings
# Checked and not linked: libFuzzer takes a C++ compiler. tests/it replays the corpus.
cargo clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target --no-default-features -- -D warnings

headline "documentation"
cargo doc --locked --no-deps --document-private-items

headline "dependencies"
cargo deny --locked check --allow license-exception-not-encountered bans licenses sources
cargo deny --locked --manifest-path fuzz/Cargo.toml check bans licenses sources
check_advisories

headline "API definition"
tests/openid-provider/node_modules/.bin/buf lint proto

headline "scripts"
shellcheck --external-sources tests/*.sh deploy/image.sh deploy/compose/make-secrets.sh .ci/run

headline "deploy files"
hadolint deploy/Containerfile
# It wants the folder to be there that deploy/image.sh makes.
mkdir -p target/image/root
docker-compose --file deploy/compose.yaml config --quiet
haproxy -c -q -f deploy/compose/haproxy.cfg
check_unit

headline "two replicas"
tests/two_replicas.sh

headline "image"
tests/image.sh

headline "documentation tests"
cargo test --locked --doc

headline "tests"
if has cargo-nextest; then
    cargo nextest run --locked
else
    cargo test --locked --all-targets
fi
