//! What an agent or a screen can say at each point of a login, in the login's
//! language. The tone is that of `docs/agent-text`.

mod da;
mod en;
mod fi;
mod nb;
mod sv;

use crate::language::Language;
use crate::logins::Error;
use crate::phone::{Country, PhoneNumber};
use crate::session::{CodeMode, CodeProgress, End, FailureReason, Moment, Phase, Terms};

/// Where the name of the app goes, as the person's country knows it.
const APP: &str = "{app}";

/// Everything that is said in one language. A text that is missing does not compile.
struct Texts {
    starting: &'static str,
    /// Read-back, until the code is typed.
    ask_for_code: &'static str,
    /// Read-back, once it is typed.
    ask_to_approve: &'static str,
    read_code_out: &'static str,
    /// To the person, who stands before the screen.
    compare_with_screen: &'static str,
    verifying: &'static str,
    /// Read-back, approved before the code is typed.
    type_code: &'static str,
    approved: &'static str,
    denied: &'static str,
    expired: &'static str,
    cancelled: &'static str,
    start_unknown: &'static str,
    person_unknown: &'static str,
    app_too_old: &'static str,
    refused: &'static str,
    provider_unavailable: &'static str,
    result_lost: &'static str,
    gateway_failed: &'static str,
    not_trusted: &'static str,
    phone_mismatch: &'static str,
    other_person: &'static str,
    claim_missing: &'static str,
    code_not_confirmed: &'static str,
    code_mismatch: &'static str,
    userinfo_refused: &'static str,
    /// The provider's own limit for one phone.
    provider_busy: &'static str,
    number_busy: &'static str,
    /// A limit of ours; which one is nobody's business.
    too_many_starts: &'static str,
    /// A check-in or a customer's own code is of no use (any more).
    scan_again: &'static str,
}

const fn texts(language: Language) -> &'static Texts {
    match language {
        Language::English => &en::TEXTS,
        Language::Norwegian => &nb::TEXTS,
        Language::Swedish => &sv::TEXTS,
        Language::Danish => &da::TEXTS,
        Language::Finnish => &fi::TEXTS,
    }
}

/// One to three short sentences; never personal data.
pub(super) fn agent_text(terms: &Terms, moment: &Moment) -> String {
    let text = texts(terms.language).at(terms.code_mode, moment);
    named(text, terms.person.phone(), terms.language)
}

/// The text with the app's name where the person is. Where no number is known, as of a
/// check-in, the language says where that is.
fn named(text: &str, phone: Option<&PhoneNumber>, language: Language) -> String {
    let country = phone.map_or_else(|| country_of(language), PhoneNumber::country);
    text.replace(APP, country.app_name())
}

const fn country_of(language: Language) -> Country {
    match language {
        Language::English | Language::Norwegian => Country::Norway,
        Language::Swedish => Country::Sweden,
        Language::Danish => Country::Denmark,
        Language::Finnish => Country::Finland,
    }
}

/// What to say when nothing could be started or asked for a person; `None` for what an
/// agent can do nothing about.
pub(super) fn refusal_text(error: &Error, language: Language, phone: Option<&PhoneNumber>) -> Option<String> {
    let texts = texts(language);
    let text = match error {
        Error::ProviderBusy { .. } => texts.provider_busy,
        Error::ProviderUnavailable => texts.provider_unavailable,
        Error::ProviderCredentialsRefused | Error::ProviderRefused | Error::CheckNotOffered => texts.refused,
        Error::NumberBusy | Error::CallBusy => texts.number_busy,
        Error::TooManyStarts { .. } => texts.too_many_starts,
        Error::CheckInNotFound | Error::CheckInExpired | Error::PersonalQrRefused => texts.scan_again,
        Error::ShopQrNotConfigured => texts.refused,
        _ => return None,
    };
    Some(named(text, phone, language))
}

impl Texts {
    const fn at(&self, mode: CodeMode, moment: &Moment) -> &'static str {
        match moment.phase {
            Phase::Starting => self.starting,
            Phase::Pending => self.pending(mode, moment.code),
            Phase::Redeemed => self.verifying,
            Phase::AwaitingCode => self.type_code,
            Phase::Ended { how, .. } => match how {
                End::Approved => self.approved,
                End::Denied => self.denied,
                End::Expired => self.expired,
                End::Cancelled => self.cancelled,
                End::Failed(reason) => self.failed(reason),
            },
        }
    }

    const fn pending(&self, mode: CodeMode, code: CodeProgress) -> &'static str {
        match (mode, code) {
            (CodeMode::ReadBack, CodeProgress::Matched) => self.ask_to_approve,
            (CodeMode::ReadBack, CodeProgress::Open { .. } | CodeProgress::Closed) => self.ask_for_code,
            (CodeMode::ReadOut, _) => self.read_code_out,
            (CodeMode::Display, _) => self.compare_with_screen,
        }
    }

    const fn failed(&self, reason: FailureReason) -> &'static str {
        match reason {
            FailureReason::StartUnknown => self.start_unknown,
            FailureReason::PersonUnknown => self.person_unknown,
            FailureReason::AppTooOld => self.app_too_old,
            FailureReason::RequestRefused
            | FailureReason::ScopeRefused
            | FailureReason::NotEnabled
            | FailureReason::PolicyRefused
            | FailureReason::ProviderError => self.refused,
            FailureReason::ProviderUnavailable => self.provider_unavailable,
            FailureReason::ResultLost => self.result_lost,
            FailureReason::Internal => self.gateway_failed,
            FailureReason::IdTokenInvalid | FailureReason::UserinfoInvalid => self.not_trusted,
            FailureReason::UserinfoRefused => self.userinfo_refused,
            FailureReason::PhoneMismatch => self.phone_mismatch,
            FailureReason::OtherPerson => self.other_person,
            FailureReason::ClaimMissing => self.claim_missing,
            FailureReason::CodeNotConfirmed => self.code_not_confirmed,
            FailureReason::CodeMismatch => self.code_mismatch,
        }
    }
}

#[cfg(test)]
mod tests;
