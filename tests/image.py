"""What tests/image.sh asks of an image and of a list of parts.

    image.py unpack ARCHIVE FOLDER   the files of an OCI archive
    image.py parts FILE              the list names what is linked into the binary
"""

import json
import subprocess
import sys
import tarfile

HOST = next(
    line.removeprefix("host: ")
    for line in subprocess.check_output(["rustc", "-vV"], text=True).splitlines()
    if line.startswith("host: ")
)


def unpack(archive, folder):
    with tarfile.open(archive) as image:

        def blob(digest):
            return image.extractfile("blobs/" + digest.replace(":", "/"))

        [manifest] = json.load(image.extractfile("index.json"))["manifests"]
        manifest = json.load(blob(manifest["digest"]))
        config = json.load(blob(manifest["config"]["digest"]))["config"]
        assert config["User"] == "10001:10001", config
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=blob(layer["digest"])) as files:
                files.extractall(folder)


def crates():
    """Name and version of our crate, of those linked into the binary, and of those that
    make code for it besides."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", HOST]
    metadata = json.loads(subprocess.check_output(command))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

    def reached(passes_macros):
        found, ahead = set(), [metadata["resolve"]["root"]]
        while ahead:
            crate = ahead.pop()
            is_macro = any("proc-macro" in target["kind"] for target in packages[crate]["targets"])
            if crate not in found and (passes_macros or not is_macro):
                found.add(crate)
                for dependency in nodes[crate]["deps"]:
                    if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                        ahead.append(dependency["pkg"])
        return {(packages[crate]["name"], packages[crate]["version"]) for crate in found}

    root = packages[metadata["resolve"]["root"]]
    return (root["name"], root["version"]), reached(passes_macros=False), reached(passes_macros=True)


def parts(path):
    with open(path, encoding="utf-8") as file:
        sbom = json.load(file)
    assert sbom["bomFormat"] == "CycloneDX", sbom["bomFormat"]
    itself = sbom["metadata"]["component"]
    named = {(part["name"], part["version"]) for part in [itself, *sbom["components"]]}
    ours, linked, all_of_them = crates()
    assert (itself["name"], itself["version"]) == ours, itself
    assert linked <= named, f"the list lacks {sorted(linked - named)}"
    assert named <= all_of_them, f"the list names what is not in the binary: {sorted(named - all_of_them)}"
    unchecked = [part["name"] for part in sbom["components"] if not part.get("hashes") or not part.get("licenses")]
    assert not unchecked, f"without hash or licence: {unchecked}"
    print(f"✓ the list of parts names {len(named)} crates, all that is linked in, with hash and licence")


if __name__ == "__main__":
    {"unpack": unpack, "parts": parts}[sys.argv[1]](*sys.argv[2:])
