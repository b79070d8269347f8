//! Looks for what must not be there, in every spelling that a careless line
//! would give it.

/// What must nowhere be readable, each with what it is.
#[derive(Default)]
pub(crate) struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Anything shorter would be found by accident: a code has five characters.
    const SHORTEST: usize = 5;
    /// A word of a language must be longer for that.
    const SHORTEST_WORD: usize = 6;

    pub(crate) fn add(&mut self, what: &str, value: impl Into<String>) {
        let value = value.into();
        assert!(value.len() >= Self::SHORTEST, "{what} {value:?} is too short to be looked for");
        self.0.push((what.into(), value));
    }

    /// A phone number as it stands in requests and as people say it.
    pub(crate) fn add_number(&mut self, digits: &str) {
        let national = &digits[2..];
        self.add("number", digits);
        self.add("national number", national);
    }

    /// Every text within a JSON value, line by line, if it is long enough to
    /// be told from chance.
    pub(crate) fn add_texts(&mut self, what: &str, value: &serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                for line in text.lines().filter(|line| line.len() >= Self::SHORTEST_WORD) {
                    self.add(what, line);
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.add_texts(what, item)),
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| self.add_texts(&format!("{what}.{name}"), field));
            }
            _ => {}
        }
    }

    /// How many there are of a kind.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.iter().filter(|(kind, _)| kind.starts_with(what)).count()
    }

    /// Those that can be read in the text, with the line that gives each away.
    pub(crate) fn readable_in(&self, text: &str) -> Vec<String> {
        let found = self.0.iter().filter_map(|(what, value)| {
            let spellings = [
                value.clone(),
                value.escape_debug().to_string(),
                value.as_bytes().escape_ascii().to_string(),
                url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            ];
            let line = text.lines().find(|line| spellings.iter().any(|spelling| line.contains(spelling.as_str())))?;
            Some(format!("{what} {value:?} in {line}"))
        });
        found.collect()
    }
}

#[test]
fn every_spelling_is_found_and_a_mask_is_not() {
    let mut secrets = Secrets::default();
    secrets.add_number("4741986357");
    secrets.add_texts(
        "userinfo",
        &serde_json::json!({"name": "Åke \"Ø\" Kjær", "age": 7, "address": ["Storveien 1\nH0101"]}),
    );
    assert_eq!((secrets.count("number"), secrets.count("userinfo")), (1, 2));
    for line in [
        "login of +4741986357",
        "login of 41986357.",
        r#"{"name":"Åke \"Ø\" Kjær"}"#,
        r#"name \xc3\x85ke \"\xc3\x98\" Kj\xc3\xa6r"#,
        "name=%C3%85ke+%22%C3%98%22+Kj%C3%A6r",
        "formatted Storveien 1, H0101",
    ] {
        assert!(!secrets.readable_in(&format!("begin\n{line}\nend")).is_empty(), "{line}");
    }
    assert_eq!(secrets.readable_in("login of +47…57, Åke K.\n2026-11-22T23:51:57.419863Z"), Vec::<String>::new());
}
