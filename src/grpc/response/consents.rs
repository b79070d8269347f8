//! What a person has agreed to, as messages.

use prost_types::Struct;
use serde_json::{Map, Value};

use super::{fields, v1};
use crate::identity::{Agreement, Answer, Consent, DelegatedConsents, Element, FlowResult, Links, Screen, TermsLink};

pub(super) fn delegated(consents: DelegatedConsents) -> v1::DelegatedConsents {
    v1::DelegatedConsents {
        accepted_ids: owned(consents.ids(Answer::Accepted)),
        refused_ids: owned(consents.ids(Answer::Refused)),
        language: consents.language,
        time_of_consent: consents.time_of_consent,
        consents: consents.consents.into_iter().map(consent).collect(),
        shown: Some(fields(consents.shown.iter())),
        heading: consents.heading,
        terms_description: consents.terms_description,
        confirm_button_text: consents.confirm_button_text,
        links: links(consents.links),
    }
}

fn consent(consent: Consent) -> v1::Consent {
    v1::Consent {
        id: consent.id,
        accepted: consent.answer == Answer::Accepted,
        required: consent.required,
        text_displayed_to_user: consent.text_displayed_to_user,
        answer: answer(consent.answer).into(),
        more: more(&consent.rest),
    }
}

pub(super) fn agreement(agreement: Agreement) -> v1::Agreement {
    v1::Agreement {
        language: agreement.language,
        timestamp: agreement.timestamp,
        accepted: agreement.answer == Answer::Accepted,
        shown: Some(fields(agreement.shown.iter())),
        answer: answer(agreement.answer).into(),
        description: agreement.description,
        button_text: agreement.button_text,
        links: links(agreement.links),
    }
}

pub(super) fn flow_result(flow: FlowResult) -> v1::FlowResult {
    v1::FlowResult {
        accepted_ids: owned(flow.ids(Answer::Accepted)),
        refused_ids: owned(flow.ids(Answer::Refused)),
        language: flow.language,
        screens: flow.screens.into_iter().map(screen).collect(),
        more: more(&flow.rest),
    }
}

fn screen(screen: Screen) -> v1::FlowScreen {
    v1::FlowScreen {
        title: screen.title,
        description: screen.description,
        terms: screen.terms.into_iter().map(|TermsLink { title, url }| v1::TermsLink { title, url }).collect(),
        elements: screen.elements.into_iter().map(element).collect(),
        more: more(&screen.rest),
    }
}

fn element(element: Element) -> v1::FlowElement {
    v1::FlowElement {
        r#type: element.kind,
        id: element.id,
        title: element.title,
        answer: answer(element.answer).into(),
        more: more(&element.rest),
    }
}

const fn answer(answer: Answer) -> v1::ConsentAnswer {
    match answer {
        Answer::Accepted => v1::ConsentAnswer::Accepted,
        Answer::Refused => v1::ConsentAnswer::Refused,
        Answer::Unclear => v1::ConsentAnswer::Unspecified,
    }
}

fn links(links: Links) -> Option<v1::ConsentLinks> {
    let is_there = links != Links::default();
    let Links { terms_text, terms_url, privacy_text, privacy_url } = links;
    is_there.then_some(v1::ConsentLinks { terms_text, terms_url, privacy_text, privacy_url })
}

fn owned<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    ids.map(str::to_owned).collect()
}

fn more(rest: &Map<String, Value>) -> Option<Struct> {
    (!rest.is_empty()).then(|| fields(rest.iter()))
}
