//! From the file, the environment and the files that both name to a [`Config`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::block_list::BlockListSection;
use super::section::{Reading, Section, Table};
use super::store::StoreSection;
use super::{Config, Files, Grpc, Mistake, Mistakes, Place, Tenant, environment, tree};

impl Config {
    /// Reads the file at `path`, the settings among `environment`, and the files
    /// that both name.
    ///
    /// # Errors
    /// With every mistake that can be found.
    pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Mistakes> {
        Self::load_with_files(path, environment).0
    }

    /// As [`Config::load`], with the files that were read for it, `path` among them:
    /// also where there are mistakes.
    pub fn load_with_files(
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> (Result<Self, Mistakes>, Files) {
        let reading = Reading::new(folder_of(path));
        let text = reading.file(Path::new(path.file_name().unwrap_or_default())).map_err(|error| {
            let problem = format!("cannot be read: {error}");
            Mistakes::new(path.to_owned(), vec![Mistake { place: Place::File, key: String::new(), problem }])
        });
        match text {
            Ok(text) => Self::read_all(&text, path, environment, reading),
            Err(mistakes) => (Err(mistakes), reading.finish().1),
        }
    }

    /// As [`Config::load`] with the file's text at hand. `path` is where relative
    /// paths start and what mistakes call the file.
    ///
    /// # Errors
    /// With every mistake that can be found.
    pub fn parse(
        text: &str,
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        Self::read_all(text, path, environment, Reading::new(folder_of(path))).0
    }

    fn read_all(
        text: &str,
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
        reading: Reading,
    ) -> (Result<Self, Mistakes>, Files) {
        let mistakes = |list| Mistakes::new(path.to_owned(), list);
        let mut entries = match tree::parse(text) {
            Ok(entries) => entries,
            Err(list) => return (Err(mistakes(list)), reading.finish().1),
        };
        let mut found = environment::overlay(&mut entries, environment);
        let config = reading.root(entries);
        let (more, files) = reading.finish();
        found.extend(more);
        (config.filter(|_| found.is_empty()).ok_or_else(|| mistakes(found)), files)
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// `[identity]`
pub(super) struct IdentityWindow(pub(super) Duration);

impl Table for Config {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let grpc = section.table_or_defaults::<Grpc>("grpc");
        let http = section.table_or_defaults("http");
        let public = section.table("public");
        let store = section.table_or_defaults::<StoreSection>("store");
        if matches!(store, Some(StoreSection::Redis { .. })) {
            section.need("keys", "with kind = \"redis\" records are sealed and numbers hashed before they leave");
        }
        let keys = section.table("keys");
        let identity_window = section.table_or_defaults("identity").map(|IdentityWindow(window)| window);
        let drain = section.table_or_defaults("drain");
        let log = section.table_or_defaults("log");
        let guard = section.table_or_defaults("guard");
        let limits = section.table_or_defaults("limits");
        let audit = section.table("audit");
        let tenants: Vec<Tenant> = section.tables("tenants", "there must be one [[tenants]] at least");
        let block_list = section.table("block_list").map(|BlockListSection(list)| list);
        let mut grpc = grpc?;
        grpc.accept_those_of(&tenants);
        Some(Self {
            grpc,
            http: http?,
            public,
            store: store?.with_keys(keys)?,
            identity_window: identity_window?,
            drain: drain?,
            log: log?,
            guard: guard?,
            limits: limits?,
            audit,
            block_list: block_list.unwrap_or_default(),
            tenants,
        })
    }
}
