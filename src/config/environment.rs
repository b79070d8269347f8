//! Settings from environment variables, laid over those of the file.
//!
//! `CIBA_GATEWAY_<PATH>`, where the path is the setting's own in capitals, with
//! `__` between levels and positions for list items:
//! `CIBA_GATEWAY_TENANTS__0__PROVIDER__CLIENT_SECRET`. A list of plain values
//! is written with commas.

use super::mistakes::{Mistake, Place};
use super::tree::{Entries, Node, Value};

const PREFIX: &str = "CIBA_GATEWAY_";

/// Names the configuration file for the command line; no setting.
pub const FILE_VARIABLE: &str = "CIBA_GATEWAY_CONFIG";

/// Lays the settings among `variables` over `root`. Whether a setting of that
/// name exists is found out by whoever reads the tree.
pub(super) fn overlay(root: &mut Entries, variables: impl Iterator<Item = (String, String)>) -> Vec<Mistake> {
    let mut settings: Vec<_> = variables.filter(|(name, _)| is_setting(name)).collect();
    settings.sort_by_cached_key(|(name, _)| list_order(name));
    settings.into_iter().filter_map(|(name, text)| set(root, name, text).err()).collect()
}

fn is_setting(name: &str) -> bool {
    name != FILE_VARIABLE && name.strip_prefix(PREFIX).is_some_and(|rest| !is_service_link(rest))
}

/// Kubernetes tells every pod where its services are. A service that is called
/// `ciba-gateway`, as ours will be, gives variables with our prefix.
fn is_service_link(rest: &str) -> bool {
    rest == "SERVICE_HOST"
        || ["SERVICE_PORT", "PORT"].iter().any(|word| {
            rest.strip_prefix(word)
                .is_some_and(|more| more.is_empty() || (more.starts_with('_') && !more.contains("__")))
        })
}

/// Item 2 comes before item 10: items are appended in this order.
fn list_order(name: &str) -> Vec<(Option<usize>, String)> {
    name.split("__").map(|level| (level.parse().ok(), level.to_owned())).collect()
}

fn set(root: &mut Entries, name: String, text: String) -> Result<(), Mistake> {
    let path = name.strip_prefix(PREFIX).unwrap_or_default().to_ascii_lowercase();
    let levels: Vec<&str> = path.split("__").collect();
    let place = Place::Variable(name);
    let wrong = |problem: &str| {
        Err(Mistake { place: place.clone(), key: String::new(), problem: format!("sets nothing: {problem}") })
    };
    let Some((first, deeper)) = levels.split_first().filter(|_| levels.iter().all(|level| !level.is_empty())) else {
        return wrong("write the setting's path in capitals with __ between levels");
    };
    let mut node = root.entry((*first).to_owned()).or_insert_with(|| fresh(&place, deeper));
    for (depth, level) in deeper.iter().enumerate() {
        let below = || fresh(&place, deeper.get(depth + 1..).unwrap_or_default());
        node = match &mut node.value {
            Value::Table(table) => table.entry((*level).to_owned()).or_insert_with(below),
            Value::List(list) => match level.parse::<usize>() {
                Ok(position) if position < list.len() => &mut list[position],
                Ok(position) if position == list.len() => list.push_mut(below()),
                Ok(_) => return wrong("the list has no item before that one; positions count from 0 without gaps"),
                Err(_) => return wrong("a list comes there; after its name comes a position, from 0"),
            },
            Value::Text(_) | Value::Integer(_) | Value::Flag(_) | Value::Untyped(_) | Value::Foreign => {
                return wrong("a level of its path is a plain value, not a table");
            }
        };
    }
    *node = Node { place, value: Value::Untyped(text) };
    Ok(())
}

/// What to put where nothing is yet, for the levels that follow.
fn fresh(place: &Place, levels: &[&str]) -> Node {
    let value = match levels.first() {
        None => Value::Untyped(String::new()),
        Some(&"0") => Value::List(Vec::new()),
        Some(_) => Value::Table(Entries::new()),
    };
    Node { place: place.clone(), value }
}
