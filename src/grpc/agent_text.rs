//! What an agent or a screen can say at each point of a login, in English.

use crate::session::{CodeMode, CodeProgress, End, FailureReason, Moment, Phase};

/// One or two sentences; never personal data.
pub(super) fn agent_text(mode: CodeMode, moment: &Moment) -> String {
    let text = match moment.phase {
        Phase::Starting => "The request is being sent to the phone.",
        Phase::Pending => pending_text(mode, moment.code),
        Phase::Redeemed => "Approved on the phone. One moment while it is verified.",
        Phase::AwaitingCode => "Approved on the phone. Ask for the code that the app shows, and type it.",
        Phase::Ended { how, .. } => match how {
            End::Approved => "It is the person. Go on.",
            End::Denied => {
                "The request was rejected on the phone. Ask whether it was a mistake; if they did not expect it, stop."
            }
            End::Expired => "Nobody answered in time. Check the number, then try once more.",
            End::Cancelled => "The login was cancelled. The phone may still show the request; it has no effect.",
            End::Failed(reason) => failure_text(reason),
        },
    };
    text.to_owned()
}

const fn pending_text(mode: CodeMode, code: CodeProgress) -> &'static str {
    match (mode, code) {
        (CodeMode::ReadBack, CodeProgress::Matched) => "The code is right. Ask them to approve the request in the app.",
        (CodeMode::ReadBack, CodeProgress::Open { .. } | CodeProgress::Closed) => {
            "Ask them to open the app, read you the code that it shows, and approve. No request there? Pull down to refresh."
        }
        (CodeMode::ReadOut, _) => {
            "Read the code aloud. If the app shows the same one, they can approve. No request there? Pull down to refresh."
        }
        (CodeMode::Display, _) => "Open the app, compare the code with the one on this screen, and approve.",
    }
}

const fn failure_text(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::StartUnknown => {
            "It is not known whether the phone was asked. If a request shows there, let it lapse and start again."
        }
        FailureReason::PersonUnknown => "This number cannot log in this way. Use another way.",
        FailureReason::AppTooOld => "The app on the phone is too old. Ask them to update it, or use another way.",
        FailureReason::RequestRefused
        | FailureReason::ScopeRefused
        | FailureReason::NotEnabled
        | FailureReason::PolicyRefused
        | FailureReason::ProviderError => "The login service refused the request. Use another way, and tell support.",
        FailureReason::ProviderUnavailable => "The login service cannot be reached. Nobody said no; try again later.",
        FailureReason::ResultLost => "They approved, but the result was lost. Nobody said no; start again.",
        FailureReason::IdTokenInvalid | FailureReason::UserinfoInvalid => {
            "The answer of the login service could not be trusted. Do not go on; tell support."
        }
        FailureReason::PhoneMismatch => "The approval came from another number. Do not go on; check the number.",
        FailureReason::OtherPerson => "Somebody else approved than this account belongs to. Do not go on.",
        FailureReason::CodeNotConfirmed => "The code was not typed in time. Start again.",
        FailureReason::CodeMismatch => {
            "Three wrong codes. The person on the line may not hold the phone. Do not go on."
        }
    }
}
