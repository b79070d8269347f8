//! What the sources hand to the log: nothing that a mask hides.
//!
//! Numbers, codes, handles, tokens and keys print masked, by their types. What
//! types cannot see is a text that was taken out of one, and the claims of a
//! person, which are plain texts. So the sources are read: no log macro names any
//! of that, nothing is written into a message by its name, and no function that
//! takes such a text out also logs. The simulator's people are made up.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{ImplItemFn, Item, ItemFn, Macro, TraitItemFn};

/// The macros of `tracing`.
const LOGGING: [&str; 11] =
    ["trace", "debug", "info", "warn", "error", "event", "span", "debug_span", "info_span", "warn_span", "error_span"];
/// What gives out the text behind a mask.
const UNMASKING: [&str; 6] = ["msisdn", "e164", "expose", "expose_secret", "access_token", "id_token"];
/// What else holds a clear text of or about a person.
const CLEAR: [&str; 4] = ["person", "code", "binding_message", "login_hint"];
/// What may be printed as `Debug`: messages of the API and bodies of answers have
/// one too, and it masks nothing.
const DEBUGGED: [&str; 1] = ["unclear"];

/// SR38, G10.
#[test]
fn nothing_that_a_mask_hides_is_handed_to_the_log() {
    let clear = clear_fields();
    let mut problems = Vec::new();
    let mut lines = 0;
    for path in sources() {
        let (found, logged) = problems_in(&fs::read_to_string(&path).expect("a source"), &clear);
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", path.display())));
        lines += logged;
    }
    assert_eq!(problems, [""; 0]);
    assert!(lines > 50, "the log lines were not found: {lines}");
}

/// SR38.
#[test]
fn a_log_line_that_gives_something_away_is_found() {
    let clear = clear_fields();
    for body in [
        "info!(phone = terms.phone.msisdn(), \"the phone is asked\")",
        "tracing::warn!(%error, code = ?terms.code.expose(), \"refused\")",
        "info!(name = identity.name, \"approved\")",
        "info!(nin = identity.nin.as_deref(), \"approved\")",
        "info!(\"{number} is asked\")",
        "debug!(?request, \"a call\")",
        "debug!(call = ?request, \"a call\")",
        "let number = terms.phone.e164(); info!(number, \"the phone is asked\")",
        "let token = token.map(ExposeSecret::expose_secret); if x { warn!(token, \"refused\") }",
        "let hint = format!(\"urn:{}\", phone.msisdn()); error_span!(\"start\", hint)",
    ] {
        let (problems, _) = problems_in(&format!("impl Thing {{ fn does(&self) {{ {body}; }} }}"), &clear);
        assert!(!problems.is_empty(), "not found: {body}");
    }
    for body in [
        "info!(phone = %terms.phone, event = event.name(), \"the phone is asked\")",
        "warn!(?unclear, %error, login.id = %login, \"the answer is {{}} unknown\")",
        "let name = hash(phone.msisdn())",
    ] {
        let (problems, _) = problems_in(&format!("fn does() {{ {body}; }}"), &clear);
        assert_eq!(problems, [""; 0], "{body}");
    }
}

/// The names of what a person has told the provider, and [`CLEAR`].
fn clear_fields() -> BTreeSet<String> {
    let file = syn::parse_file(include_str!("../../src/identity.rs")).expect("a source");
    let structs = file.items.iter().filter_map(|item| match item {
        Item::Struct(item) if item.ident == "Identity" || item.ident == "Address" => Some(item),
        _ => None,
    });
    let fields = structs.flat_map(|item| &item.fields).filter_map(|field| field.ident.as_ref());
    let fields: BTreeSet<_> = fields.map(ToString::to_string).chain(CLEAR.map(str::to_owned)).collect();
    assert!(fields.contains("nin") && fields.contains("street_address"), "the claims were not found: {fields:?}");
    fields
}

fn sources() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    below(&root, &mut found);
    found.retain(|path| !path.starts_with(root.join("simulator")));
    found.sort();
    found
}

/// What is wrong in a source, and how many log lines it has.
fn problems_in(source: &str, clear: &BTreeSet<String>) -> (Vec<String>, usize) {
    let mut reader = Reader { clear, inside: Vec::new(), problems: Vec::new(), lines: 0 };
    reader.visit_file(&syn::parse_file(source).expect("a source"));
    (reader.problems, reader.lines)
}

/// A function that is being read.
struct Function {
    name: String,
    logs: bool,
    unmasks: bool,
}

struct Reader<'clear> {
    clear: &'clear BTreeSet<String>,
    /// The innermost last.
    inside: Vec<Function>,
    problems: Vec<String>,
    lines: usize,
}

impl Reader<'_> {
    fn function(&mut self, name: String, read: impl FnOnce(&mut Self)) {
        self.inside.push(Function { name, logs: false, unmasks: false });
        read(self);
        let function = self.inside.pop().expect("the function");
        if function.logs && function.unmasks {
            self.problems.push(format!("{} takes something from behind its mask, and logs", function.name));
        }
    }

    fn log_line(&mut self, what: &str) {
        self.lines += 1;
        if let Some(function) = self.inside.last_mut() {
            function.logs = true;
        }
        let mut problem = |found: String| self.problems.push(format!("{found}, in the log line {what}"));
        for (before, word, after) in words(what) {
            let is_call = after.starts_with('(');
            if UNMASKING.contains(&word) || (before.ends_with('.') && !is_call && self.clear.contains(word)) {
                problem(format!("{word} is in the clear"));
            }
            if before.ends_with('?') && !DEBUGGED.contains(&word) {
                problem(format!("{word} is printed as Debug"));
            }
        }
        if what.replace("{{", "").contains('{') {
            problem("something is written into the message".to_owned());
        }
    }
}

/// The names in a text of tokens, each with what is before and after it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at + text[at..].find(is_of_a_word)?;
        let end = text[begin..].find(|c| !is_of_a_word(c)).map_or(text.len(), |length| begin + length);
        at = end;
        Some((text[..begin].trim_end(), &text[begin..end], text[end..].trim_start()))
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(item.sig.ident.to_string(), |reader| visit::visit_item_fn(reader, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(item.sig.ident.to_string(), |reader| visit::visit_impl_item_fn(reader, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.function(item.sig.ident.to_string(), |reader| visit::visit_trait_item_fn(reader, item));
    }

    fn visit_ident(&mut self, name: &'ast syn::Ident) {
        if UNMASKING.iter().any(|unmasking| name == unmasking)
            && let Some(function) = self.inside.last_mut()
        {
            function.unmasks = true;
        }
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let is_log = called.path.segments.last().is_some_and(|last| LOGGING.iter().any(|name| last.ident == name));
        let what = called.tokens.to_string();
        if is_log {
            self.log_line(&what);
        } else if words(&what).any(|(_, word, _)| UNMASKING.contains(&word))
            && let Some(function) = self.inside.last_mut()
        {
            function.unmasks = true;
        }
    }
}
