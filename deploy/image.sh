#!/usr/bin/env bash
# The gateway's binary, its list of parts (SBOM) and its container image, without an
# engine and without a base image: the same bytes whenever and wherever they are built
# from the same commit, with the same toolchain and the same libraries of the system.
#
#   deploy/image.sh                  builds the gateway, lists its parts, packs the image
#   deploy/image.sh --twice          also builds it in another folder: the same, or it fails
#   deploy/image.sh --lay-out        no image: only the folder that becomes one
#   deploy/image.sh --binary FILE    packs FILE, without a build
#   deploy/image.sh --to FOLDER      into FOLDER, in the place of target/image
#
# Leaves in the folder:
#   root                    every file of the image; what deploy/Containerfile copies
#   ciba-gateway.cdx.json   the parts of the binary, CycloneDX 1.5
#   ciba-gateway.tar        the image: `docker load` and `podman load` take it
#   digest                  of the image's manifest
#
# Needs cargo, cargo-cyclonedx, ca-certificates; for the image buildah, and root or a
# user with subordinate ids. The file times are those of the commit, or SOURCE_DATE_EPOCH.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

binary="" folder=target/image is_twice=false is_packed=true
while [ $# -gt 0 ]; do
    case $1 in
        --twice) is_twice=true ;;
        --lay-out) is_packed=false ;;
        --binary) binary=${2:?} && shift ;;
        --to) folder=${2:?} && shift ;;
        *) fail "unknown: $1; see the head of this script" ;;
    esac
    shift
done

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
certificates=/etc/ssl/certs/ca-certificates.crt
[ -e "$certificates" ] || fail "no certificate authorities at $certificates: please install ca-certificates"

# build SOURCE: the gateway in SOURCE/target/release, without a trace of where that is.
build() {
    local source=$1 home=${CARGO_HOME:-$HOME/.cargo}
    local flags="--remap-path-prefix=$source=/src --remap-path-prefix=$home=/cargo"
    RUSTFLAGS=$flags CARGO_INCREMENTAL=0 cargo build --release --locked --manifest-path "$source/Cargo.toml" --target-dir "$source/target"
    local place
    for place in "$source" "$home"; do
        if grep --quiet --text --fixed-strings "$place/" "$source/target/release/ciba-gateway"; then
            fail "the binary tells where it was built: $place"
        fi
    done
}

build_twice() {
    local other
    other=$(mktemp -d)
    git ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$other"
    build "$other"
    cmp "$binary" "$other/target/release/ciba-gateway" || fail "built in another folder the binary is another one"
    rm -rf "$other"
    echo "built twice, in two folders: the same binary"
}

# What is linked into the binary, without what only builds or tests it.
list_parts() {
    local name=ciba-gateway-parts
    cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$(rustc -vV | sed -n 's/^host: //p')" \
        --no-build-deps --override-filename "$name"
    # It names our crate by where it lies.
    sed "s#file://$PWD#file:///src#g" "$name.json" > "$folder/ciba-gateway.cdx.json"
    rm "$name.json"
}

# The files of the image: the binary and what it is linked with, certificate
# authorities, a user, and what tells what all that is.
lay_out() {
    local root=$folder/root library
    rm -rf "$root"
    install -D --mode=755 "$binary" "$root/usr/bin/ciba-gateway"
    # Names are looked up by the C library, which has files and DNS built in since 2.34.
    for library in $(ldd "$binary" | grep -o '/[^ ]*'); do
        install -D --mode=755 "$library" "$root$library"
    done
    install -D --mode=644 "$certificates" "$root$certificates"
    install -D --mode=644 LICENSE "$root/usr/share/doc/ciba-gateway/LICENSE"
    install -D --mode=644 "$folder/ciba-gateway.cdx.json" "$root/usr/share/doc/ciba-gateway/ciba-gateway.cdx.json"
    for library in libc6 libgcc-s1; do
        [ ! -e "/usr/share/doc/$library/copyright" ] ||
            install -D --mode=644 "/usr/share/doc/$library/copyright" "$root/usr/share/doc/$library/copyright"
    done
    install -d "$root/etc/ciba-gateway"
    echo "hosts: files dns" > "$root/etc/nsswitch.conf"
    echo "ciba-gateway:x:10001:10001:ciba-gateway:/:/sbin/nologin" > "$root/etc/passwd"
    echo "ciba-gateway:x:10001:" > "$root/etc/group"
}

pack() {
    local storage version
    storage=$(mktemp -d)
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    local buildah=(buildah --storage-driver vfs --root "$storage/images" --runroot "$storage/run")
    "${buildah[@]}" build --quiet --isolation chroot --timestamp "$SOURCE_DATE_EPOCH" \
        --file deploy/Containerfile --tag ciba-gateway "$folder/root" > /dev/null
    rm -f "$folder/ciba-gateway.tar"
    "${buildah[@]}" push --quiet --digestfile "$folder/digest" ciba-gateway "oci-archive:$folder/ciba-gateway.tar:ciba-gateway:$version"
    rm -rf "$storage"
    echo "image $(cat "$folder/digest"): $(du -sb "$folder/root" | cut -f 1) bytes of files, $(stat -c %s "$folder/ciba-gateway.tar") packed"
}

mkdir -p "$folder"
if [ -z "$binary" ]; then
    build "$PWD"
    binary=target/release/ciba-gateway
    if $is_twice; then build_twice; fi
fi
list_parts
lay_out
if $is_packed; then pack; fi
