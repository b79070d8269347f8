//! The foreign programs that tests/run.sh gets, Node.js, Python and a browser, and what else
//! the tests' surroundings decide.

use std::path::{Path, PathBuf};
use std::process::Command;

const ADVICE: &str = "run tests/run.sh, which gets what is missing";

/// A path inside the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Node.js, with the script's packages beside it.
pub(crate) fn node(script: &str) -> Command {
    let script = repository(script);
    let packages = script.with_file_name("node_modules");
    assert!(packages.join(".package-lock.json").is_file(), "{} is incomplete: {ADVICE}", packages.display());
    tool(std::env::var_os("CIBA_TEST_NODE").map_or_else(|| "node".into(), PathBuf::from), &script)
}

/// The browser: Chromium, or what `CIBA_TEST_CHROMIUM` names.
pub(crate) fn browser() -> PathBuf {
    let program = std::env::var_os("CIBA_TEST_CHROMIUM").map_or_else(|| "/usr/bin/chromium".into(), PathBuf::from);
    assert!(program.is_file(), "{} is not there: {ADVICE}", program.display());
    program
}

/// Python with the packages of tests/requirements.txt.
pub(crate) fn python(script: &str) -> Command {
    let default = || repository("target/test-tools/venv/bin/python");
    tool(std::env::var_os("CIBA_TEST_PYTHON").map_or_else(default, PathBuf::from), &repository(script))
}

/// Whether the long forms of the tests are wanted: `CIBA_TEST_SOAK=1`.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("CIBA_TEST_SOAK").is_some()
}

fn tool(program: PathBuf, script: &Path) -> Command {
    let version = Command::new(&program).arg("--version").output();
    assert!(version.is_ok_and(|output| output.status.success()), "{} does not run: {ADVICE}", program.display());
    let mut command = Command::new(program);
    command.arg(script);
    command
}
