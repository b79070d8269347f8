//! `[block_list]`: a file of its own that names who and what is shut out.
//!
//! Its mistakes are told as those of the setting that names it, each with its
//! line, because whoever adds a name in a hurry must not be left to guess. None
//! of it is taken while it has one.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::mistakes::{Mistake, Place};
use super::section::{Reading, Section, Table};
use super::setting::Setting;
use super::tree;
use crate::logins::{BlockList, Blocks};
use crate::session::TenantId;

/// `[block_list]`
pub(super) struct BlockListSection(pub(super) BlockList);

impl Table for BlockListSection {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        const KEY: &str = "file";
        section.need(KEY, "it holds the names that are shut out");
        let text = section.file(KEY)?;
        let (list, mistakes) = parse(text.expose_secret());
        for Mistake { place, key, problem } in mistakes {
            let line = if let Place::Line(line) = place { format!("in line {line}: ") } else { String::new() };
            section.wrong(KEY, format_args!("names a file with a mistake: {line}{key} {problem}"));
        }
        let ListFile { all, tenants } = list?;
        for tenant in tenants.keys() {
            if !section.is_established(&known(tenant)) {
                section.wrong(KEY, "names a file with a mistake: one of its tenants is not configured");
            }
        }
        Some(Self(BlockList::new(all, tenants)))
    }
}

/// Established by each tenant.
pub(super) fn known(tenant: &TenantId) -> String {
    format!("there is a tenant {tenant}")
}

fn parse(text: &str) -> (Option<ListFile>, Vec<Mistake>) {
    let entries = match tree::parse(text) {
        Ok(entries) => entries,
        Err(mistakes) => return (None, mistakes),
    };
    // It names no files.
    let reading = Reading::new(PathBuf::new());
    let list = reading.root(entries);
    let (mut mistakes, _) = reading.finish();
    mistakes.sort();
    (list, mistakes)
}

/// The whole file.
struct ListFile {
    all: Blocks,
    tenants: HashMap<TenantId, Blocks>,
}

impl Table for ListFile {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let all = blocks(section);
        let tenants = section.tables_if_any::<TenantBlocks>("tenants", "leave it out where no tenant blocks anything");
        let tenants = tenants.into_iter().map(|TenantBlocks(tenant, blocks)| (tenant, blocks)).collect();
        Some(Self { all, tenants })
    }
}

/// One of its `[[tenants]]`.
struct TenantBlocks(TenantId, Blocks);

impl Table for TenantBlocks {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let id: Option<TenantId> = section.required("id");
        if let Some(id) = &id {
            section.unique("id", section.list_path(), id.as_str());
        }
        let blocks = blocks(section);
        Some(Self(id?, blocks))
    }
}

fn blocks(section: &mut Section<'_>) -> Blocks {
    Blocks {
        clients: names(section, "clients"),
        agents: names(section, "agents"),
        terminals: names(section, "terminals"),
        numbers: names(section, "numbers"),
    }
}

fn names<T: Setting + Eq + Hash>(section: &mut Section<'_>, key: &str) -> HashSet<T> {
    section.list(key).unwrap_or_default().into_iter().collect()
}
