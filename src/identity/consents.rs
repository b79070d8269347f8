//! What a person has agreed to, typed: marketing consents, the answers on the
//! sales unit's own screens, and the acceptance of terms.
//!
//! The provider sends consents once, at the login in which they were given. So
//! [`Identity`](super::Identity) keeps what came as it came, and reading it here
//! never fails over a detail: what has another shape than documented stays in
//! `shown` or `rest`. An answer that is neither yes nor no is [`Answer::Unclear`],
//! which is no consent.
//!
//! Shapes follow the vendor's OpenAPI "Login API" and its page "Collecting
//! consents". Names of members are compared without spaces around them, because
//! one of the vendor's own samples has such a name.

use std::fmt;

use serde_json::{Map, Value};

/// What a person answered to one question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Accepted,
    /// No. The provider lists refusals beside acceptances.
    Refused,
    /// There was nothing to answer, or what came is neither. No consent.
    #[default]
    Unclear,
}

/// Marketing consents (scope `delegatedConsents`), the older form.
#[derive(Clone, Default, PartialEq)]
pub struct DelegatedConsents {
    /// Language of the texts shown.
    pub language: String,
    /// RFC 3339, UTC.
    pub time_of_consent: String,
    /// One entry for each consent that was offered, refusals among them.
    pub consents: Vec<Consent>,
    /// The heading above them.
    pub heading: String,
    /// What the person reads about the terms.
    pub terms_description: String,
    /// The text on the button.
    pub confirm_button_text: String,
    /// Terms and privacy statement.
    pub links: Links,
    /// Everything but `language`, `time_of_consent` and `consents`, as it came.
    pub shown: Map<String, Value>,
}

/// One marketing consent that was offered.
#[derive(Clone, Default, PartialEq)]
pub struct Consent {
    /// `email`, `sms`, `digital` or `personal`.
    pub id: String,
    /// What the person answered.
    pub answer: Answer,
    /// Whether the login could not go on without it.
    pub required: bool,
    /// The text beside the box.
    pub text_displayed_to_user: String,
    /// What else came with it.
    pub rest: Map<String, Value>,
}

/// Acceptance of terms and privacy statement (scope `agreement`).
#[derive(Clone, Default, PartialEq)]
pub struct Agreement {
    /// Language of the texts shown.
    pub language: String,
    /// RFC 3339.
    pub timestamp: String,
    /// Whether the person accepted.
    pub answer: Answer,
    /// What the person reads.
    pub description: String,
    /// The text on the button.
    pub button_text: String,
    /// Terms and privacy statement.
    pub links: Links,
    /// Everything but `language`, `timestamp` and `accepted`, as it came.
    pub shown: Map<String, Value>,
}

/// Where terms and privacy statement were to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Text of the link to the terms.
    pub terms_text: String,
    /// Address of the terms.
    pub terms_url: String,
    /// Text of the link to the privacy statement.
    pub privacy_text: String,
    /// Address of the privacy statement.
    pub privacy_url: String,
}

/// Answers on the sales unit's own screens (scope `customFlow`).
#[derive(Clone, Default, PartialEq)]
pub struct FlowResult {
    /// Language of the texts shown.
    pub language: String,
    /// The screens, in the order in which they were shown.
    pub screens: Vec<Screen>,
    /// What else came.
    pub rest: Map<String, Value>,
}

/// One screen.
#[derive(Clone, Default, PartialEq)]
pub struct Screen {
    /// Its heading.
    pub title: String,
    /// What the person reads.
    pub description: String,
    /// Links to terms, in the order in which they were shown.
    pub terms: Vec<TermsLink>,
    /// What could be answered, of whatever kind.
    pub elements: Vec<Element>,
    /// What else came.
    pub rest: Map<String, Value>,
}

/// A link of a screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermsLink {
    /// Its text.
    pub title: String,
    /// Its address.
    pub url: String,
}

/// One element of a screen. `checkbox` is the only documented kind; others are kept.
#[derive(Clone, Default, PartialEq)]
pub struct Element {
    /// `checkbox`, or what the provider has come up with since.
    pub kind: String,
    /// The sales unit's name for it.
    pub id: String,
    /// The text beside it.
    pub title: String,
    /// Whether it was ticked; [`Answer::Unclear`] where there is nothing to tick.
    pub answer: Answer,
    /// What else came with it.
    pub rest: Map<String, Value>,
}

/// What a person has answered is printed nowhere.
macro_rules! print_redacted {
    ($($what:ident),+) => {
        $(impl fmt::Debug for $what {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($what), "(…)"))
            }
        })+
    };
}

print_redacted!(DelegatedConsents, Consent, Agreement, FlowResult, Screen, Element);

impl DelegatedConsents {
    /// Reads what came; `None` when it is no object.
    #[must_use]
    pub fn read(came: &Value) -> Option<Self> {
        let mut parts = Parts::of(came)?;
        let (language, time_of_consent) = (parts.text("language"), parts.text("timeOfConsent"));
        let consents = parts.list("consents", Consent::read);
        Some(Self {
            language,
            time_of_consent,
            consents,
            heading: parts.look("heading"),
            terms_description: parts.look("termsDescription"),
            confirm_button_text: parts.look("confirmConsentButtonText"),
            links: parts.links(),
            shown: parts.0,
        })
    }

    /// The ids of those with this answer.
    pub fn ids(&self, answer: Answer) -> impl Iterator<Item = &str> {
        self.consents.iter().filter(move |consent| consent.answer == answer).map(|consent| consent.id.as_str())
    }
}

impl Consent {
    fn read(came: &Value) -> Option<Self> {
        let mut parts = Parts::of(came)?;
        Some(Self {
            id: parts.text("id"),
            answer: parts.answer("accepted"),
            required: parts.answer("required") == Answer::Accepted,
            text_displayed_to_user: parts.text("textDisplayedToUser"),
            rest: parts.0,
        })
    }
}

impl Agreement {
    /// Reads what came; `None` when it is no object.
    #[must_use]
    pub fn read(came: &Value) -> Option<Self> {
        let mut parts = Parts::of(came)?;
        let (language, timestamp) = (parts.text("language"), parts.text("timestamp"));
        let answer = parts.answer("accepted");
        Some(Self {
            language,
            timestamp,
            answer,
            description: parts.look("description"),
            button_text: parts.look("buttonText"),
            links: parts.links(),
            shown: parts.0,
        })
    }
}

impl FlowResult {
    /// Reads what came; `None` when it is no object.
    #[must_use]
    pub fn read(came: &Value) -> Option<Self> {
        let mut parts = Parts::of(came)?;
        let (language, screens) = (parts.text("language"), parts.list("screens", Screen::read));
        Some(Self { language, screens, rest: parts.0 })
    }

    /// The ids of those elements with this answer, over all screens.
    pub fn ids(&self, answer: Answer) -> impl Iterator<Item = &str> {
        let elements = self.screens.iter().flat_map(|screen| &screen.elements);
        elements.filter(move |element| element.answer == answer).map(|element| element.id.as_str())
    }
}

impl Screen {
    fn read(came: &Value) -> Option<Self> {
        let mut parts = Parts::of(came)?;
        let mut terms = Vec::new();
        if let Some(mut of_terms) = parts.0.get("terms").and_then(Parts::of) {
            terms = of_terms.list("links", TermsLink::read);
            match of_terms.0.is_empty() {
                true => parts.0.remove("terms"),
                false => parts.0.insert("terms".to_owned(), Value::Object(of_terms.0)),
            };
        }
        Some(Self {
            title: parts.text("title"),
            description: parts.text("description"),
            terms,
            elements: parts.list("elements", Element::read),
            rest: parts.0,
        })
    }
}

impl TermsLink {
    fn read(came: &Value) -> Option<Self> {
        let mut parts = Parts::of(came)?;
        Some(Self { title: parts.text("title"), url: parts.text("url") })
    }
}

impl Element {
    fn read(came: &Value) -> Option<Self> {
        let mut parts = Parts::of(came)?;
        Some(Self {
            kind: parts.text("type"),
            id: parts.text("id"),
            title: parts.text("title"),
            answer: parts.answer("checked"),
            rest: parts.0,
        })
    }
}

/// The members of an object, from which what is known is taken.
struct Parts(Map<String, Value>);

impl Parts {
    /// With names without spaces around them, unless two would be the same then.
    fn of(came: &Value) -> Option<Self> {
        let came = came.as_object()?;
        let is_one = |trimmed: &str| came.keys().filter(|name| name.trim() == trimmed).count() == 1;
        let name = |name: &String| if is_one(name.trim()) { name.trim().to_owned() } else { name.clone() };
        Some(Self(came.iter().map(|(member, value)| (name(member), value.clone())).collect()))
    }

    /// Takes a text; anything else stays.
    fn text(&mut self, name: &str) -> String {
        match self.0.remove(name) {
            Some(Value::String(text)) => text,
            Some(Value::Null) | None => String::new(),
            Some(other) => {
                self.0.insert(name.to_owned(), other);
                String::new()
            }
        }
    }

    /// A text that stays.
    fn look(&self, name: &str) -> String {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Takes a yes or no; anything else stays and is neither.
    fn answer(&mut self, name: &str) -> Answer {
        let answer = match self.0.get(name) {
            Some(Value::Bool(true)) => Answer::Accepted,
            Some(Value::Bool(false)) => Answer::Refused,
            _ => return Answer::Unclear,
        };
        self.0.remove(name);
        answer
    }

    /// Takes the items of a list; those that cannot be read stay.
    fn list<T>(&mut self, name: &str, read: fn(&Value) -> Option<T>) -> Vec<T> {
        let Some(Value::Array(items)) = self.0.get(name) else { return Vec::new() };
        let found: Vec<_> = items.iter().map(read).collect();
        let left: Vec<_> =
            items.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(item, _)| item.clone()).collect();
        match left.is_empty() {
            true => self.0.remove(name),
            false => self.0.insert(name.to_owned(), left.into()),
        };
        found.into_iter().flatten().collect()
    }

    fn links(&self) -> Links {
        let Some(links) = self.0.get("links").and_then(Self::of) else { return Links::default() };
        Links {
            terms_text: links.look("termsLinkText"),
            terms_url: links.look("termsLinkUrl"),
            privacy_text: links.look("privacyStatementLinkText"),
            privacy_url: links.look("privacyStatementLinkUrl"),
        }
    }
}

#[cfg(test)]
mod tests;
