//! The files that a configuration was read from.

use std::path::Path;

use super::super::{Config, Files};
use super::{Folder, LEAST};

fn read(path: &str) -> Files {
    Config::load_with_files(Path::new(path), std::iter::empty()).1
}

/// SR31: each file counts, whether it could be read or not, and whatever its time says.
#[test]
fn a_change_of_any_file_is_seen() {
    let folder = Folder::new();
    let text = LEAST
        .replace("client_secret = \"bank-secret\"", "client_secret_file = \"secret\"")
        .replace("[[tenants.clients]]", "ca_file = \"missing\"\n[[tenants.clients]]");
    let path = folder.file("gateway.toml", &text);
    folder.file("secret", "one");
    let files = read(&path);
    assert_eq!(files.now(), files);
    for (name, content) in [("gateway.toml", "# Other.\n"), ("secret", "two"), ("missing", "now there")] {
        let before = files.now();
        folder.file(name, content);
        assert_ne!(files.now(), before, "{name}");
    }
    std::fs::remove_file(folder.0.join("secret")).unwrap();
    folder.file("gateway.toml", &text);
    let gone = files.now();
    folder.file("secret", "one");
    assert_ne!(files.now(), gone);
}

/// What is not there or has mistakes is watched as well: it may be put right.
#[test]
fn files_are_known_also_where_the_configuration_has_mistakes() {
    let folder = Folder::new();
    let path = folder.file("gateway.toml", "[grpc");
    for content in ["[grpc]\nlisten = 1\n", LEAST] {
        let files = read(&path);
        folder.file("gateway.toml", content);
        assert_ne!(files.now(), files);
    }
    let (nowhere, somewhere) = (folder.0.join("later.toml"), "later.toml");
    let files = read(nowhere.to_str().unwrap());
    folder.file(somewhere, LEAST);
    assert_ne!(files.now(), files);
}
