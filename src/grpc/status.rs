//! The table from errors to gRPC statuses; the only place that knows codes.
//!
//! Every status carries an `ErrorInfo` with a stable reason. Here a failed call
//! is logged, once, with what the caller is not told.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::{error, info, warn};

use super::agent_text::refusal_text;
use crate::language::Language;
use crate::logins::{self, Load};
use crate::phone::PhoneNumber;
use crate::store::{Counter, StoreError};
use crate::tokens::Refused;

const DOMAIN: &str = "ciba-gateway";
/// When to come back after an outage whose end nobody knows.
const OUTAGE_RETRY: Duration = Duration::from_secs(2);
/// When to come back after a connection that has reached its age. By then every
/// client knows that it is closed, and makes a new one without being told.
const MOVE_RETRY: Duration = Duration::from_millis(200);

const FAILED: &str = "the gateway failed; its log says why";

/// Why a call got a status other than OK.
#[derive(Debug)]
pub(super) enum CallError {
    CredentialMissing,
    CredentialInvalid,
    /// It was right, and its time is over.
    CredentialExpired,
    /// Key and certificate are not of one client.
    CredentialMismatch,
    /// It took longer than a call may; what it does may yet happen.
    TookTooLong,
    /// It ran into a defect of ours.
    Panicked,
    /// It is right, and stands for something else than when the stream was opened.
    CredentialChanged,
    /// A token that does not prove its client.
    TokenInvalid(Refused),
    /// A token that does not prove its agent.
    AgentTokenInvalid(Refused),
    /// The keys that tokens are checked with cannot be had.
    TokenKeysUnavailable,
    /// Not one of the calls that the client lists.
    CallNotAllowed,
    /// From an address outside the tenant's or client's networks.
    NetworkNotAllowed,
    /// Fields and what would be right; never the values.
    Fields(Vec<(String, String)>),
    Logins(logins::Error),
}

impl CallError {
    pub(super) fn field(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Fields(vec![(name.into(), problem.into())])
    }

    /// The stable reason, and the code that goes with it.
    pub(super) const fn code_and_reason(&self) -> (Code, &'static str) {
        use logins::Error as E;
        match self {
            Self::CredentialMissing => (Code::Unauthenticated, "CREDENTIAL_MISSING"),
            Self::CredentialInvalid => (Code::Unauthenticated, "CREDENTIAL_INVALID"),
            Self::CredentialExpired => (Code::Unauthenticated, "CREDENTIAL_EXPIRED"),
            Self::CredentialMismatch => (Code::Unauthenticated, "CREDENTIAL_MISMATCH"),
            Self::TookTooLong => (Code::DeadlineExceeded, "CALL_TOOK_TOO_LONG"),
            Self::Panicked => (Code::Internal, "INTERNAL"),
            Self::CredentialChanged => (Code::Unavailable, "CREDENTIAL_CHANGED"),
            Self::TokenInvalid(_) => (Code::Unauthenticated, "CREDENTIAL_INVALID"),
            Self::AgentTokenInvalid(_) => (Code::Unauthenticated, "AGENT_TOKEN_INVALID"),
            Self::TokenKeysUnavailable => (Code::Unavailable, "TOKEN_KEYS_UNAVAILABLE"),
            Self::CallNotAllowed => (Code::PermissionDenied, "CALL_NOT_ALLOWED"),
            Self::NetworkNotAllowed => (Code::PermissionDenied, "NETWORK_NOT_ALLOWED"),
            Self::Fields(_) => (Code::InvalidArgument, "INVALID_FIELD"),
            Self::Logins(error) => {
                let code = match error {
                    E::Blocked(_) => Code::PermissionDenied,
                    E::AgentNotProven => Code::Unauthenticated,
                    E::ChannelNotAllowed => Code::PermissionDenied,
                    E::ReadOutNotAllowed => Code::PermissionDenied,
                    E::OutboundNotAllowed => Code::PermissionDenied,
                    E::QuietHours { .. } => Code::FailedPrecondition,
                    E::PurposeNotAllowed => Code::PermissionDenied,
                    E::ClaimNotAllowed(_) => Code::PermissionDenied,
                    E::NationalIdNotAllowed => Code::PermissionDenied,
                    E::RoleMissing(_) => Code::PermissionDenied,
                    E::NotFound => Code::NotFound,
                    E::NotYours => Code::PermissionDenied,
                    E::RequestIdReused => Code::AlreadyExists,
                    E::CheckInNotFound => Code::NotFound,
                    E::CheckInUsed => Code::FailedPrecondition,
                    E::CheckInExpired => Code::FailedPrecondition,
                    E::PersonalQrRefused => Code::FailedPrecondition,
                    E::ShopQrNotFound => Code::NotFound,
                    E::ShopQrNotConfigured => Code::FailedPrecondition,
                    E::NumberBusy => Code::FailedPrecondition,
                    E::CallBusy => Code::FailedPrecondition,
                    E::ClientUnknown => Code::NotFound,
                    E::TooManyStarts { .. } => Code::ResourceExhausted,
                    E::Overloaded(_) => Code::ResourceExhausted,
                    E::ProviderBusy { .. } => Code::ResourceExhausted,
                    E::ProviderCredentialsRefused => Code::FailedPrecondition,
                    E::ProviderUnavailable => Code::Unavailable,
                    E::ProviderRefused => Code::FailedPrecondition,
                    E::CheckNotOffered => Code::Unimplemented,
                    E::StartWithdrawn => Code::Unavailable,
                    E::RedirectCodeRefused => Code::FailedPrecondition,
                    E::RedirectRejected => Code::FailedPrecondition,
                    E::RedirectLost => Code::DataLoss,
                    E::CodeNotAsked => Code::FailedPrecondition,
                    E::LoginEnded => Code::FailedPrecondition,
                    E::Draining => Code::Unavailable,
                    E::AuditUnavailable => Code::Unavailable,
                    E::ConnectionAge => Code::Unavailable,
                    E::SlowReader => Code::Aborted,
                    E::Store(StoreError::Unavailable(_)) => Code::Unavailable,
                    E::CursorTooOld { .. } => Code::OutOfRange,
                    E::EpochChanged { .. } => Code::OutOfRange,
                    E::Store(StoreError::Recovering { .. }) => Code::Unavailable,
                    E::Store(StoreError::Foreign(_)) => Code::Unavailable,
                    E::Store(StoreError::Full(_)) => Code::ResourceExhausted,
                    E::Store(StoreError::Unreadable(_)) | E::Internal(_) => Code::Internal,
                };
                (code, error.reason())
            }
        }
    }

    /// What the caller is told: helps them, names nobody.
    fn message(&self) -> String {
        use logins::Error as E;
        match self {
            Self::CredentialMissing => {
                "send metadata `authorization: Bearer <API key or token>`, or connect with a client certificate".into()
            }
            Self::CredentialInvalid => "this API key or certificate is not known".into(),
            Self::CredentialExpired => {
                "this API key, certificate or token has ended; use the one that replaces it".into()
            }
            Self::CredentialMismatch => {
                "API key, client certificate and tokens are not those of one client and one agent".into()
            }
            Self::TokenInvalid(_) => "this token proves no client here; the gateway's log says why".into(),
            Self::AgentTokenInvalid(_) => "ciba-agent-token proves no agent here; the gateway's log says why".into(),
            Self::TokenKeysUnavailable => {
                "the keys of the tenant's identity provider cannot be fetched; try again".into()
            }
            Self::CallNotAllowed => "this client may not make this call".into(),
            Self::NetworkNotAllowed => "this client may not call from here".into(),
            Self::TookTooLong => "the gateway did not answer in time; try again, with the same request_id".into(),
            Self::Panicked => FAILED.into(),
            Self::CredentialChanged => "what this client may do has changed; call again".into(),
            Self::Fields(fields) => {
                let lines: Vec<_> = fields.iter().map(|(name, problem)| format!("{name} {problem}")).collect();
                lines.join("; ")
            }
            Self::Logins(error) => match error {
                E::Blocked(blocked) => format!("the operator of the gateway has shut this {} out", blocked.name()),
                E::AgentNotProven => {
                    "this client's agents prove themselves: send metadata `ciba-agent-token: <token>`".into()
                }
                E::ChannelNotAllowed => "this client may not start logins on this channel".into(),
                E::ReadOutNotAllowed => {
                    "in this tenant's call centres the person reads the code to the agent; leave code_mode out".into()
                }
                E::OutboundNotAllowed => {
                    "this tenant's agents do not call people to have them identified; let the person call".into()
                }
                E::QuietHours { .. } => "this tenant's agents call nobody at this hour; see RetryInfo".into(),
                E::PurposeNotAllowed => "this tenant has no such purpose for this channel".into(),
                E::ClaimNotAllowed(claim) => {
                    format!("this purpose does not go with the claim {}; ask for less", claim.name().to_uppercase())
                }
                E::NationalIdNotAllowed => {
                    "this tenant states no ground for asking for national identity numbers".into()
                }
                E::RoleMissing(role) => format!("this takes the role {}, which this caller has not", role.name()),
                E::CheckInNotFound => "there is no such check-in, or none any more; let the customer scan again".into(),
                E::CheckInUsed => "this check-in has started a login already; let the customer scan again".into(),
                E::CheckInExpired => "this check-in is older than 15 minutes; let the customer scan again".into(),
                E::PersonalQrRefused => {
                    "the provider does not know the scanned code; scan the customer's own code in the app again".into()
                }
                E::ShopQrNotFound => "there is no such QR code; ListShopQrs lists those that there are".into(),
                E::ShopQrNotConfigured => {
                    "this tenant has no access to the provider's QR API; the operator sets its subscription_key and \
                     merchant_serial_number"
                        .into()
                }
                E::NumberBusy => "this number has a live login; wait for its end or cancel it".into(),
                E::CallBusy => "this phone call has a live login; wait for its end, cancel it, or hand it over".into(),
                E::ClientUnknown => "client_id is the name of no client of this tenant".into(),
                E::TooManyStarts { counter, .. } => {
                    let what = match counter {
                        Counter::Number => "too many logins were started for this number",
                        Counter::Agent => "this agent has started too many logins",
                        Counter::AgentNumbers => "this agent has started logins for too many different numbers",
                        Counter::Terminal => "too many logins were started at this terminal",
                        Counter::Client => "this client has started too many logins",
                        Counter::Tenant => "the tenant has started too many logins",
                    };
                    format!("{what}; see RetryInfo")
                }
                E::Overloaded(load) => {
                    let what = match load {
                        Load::Starts => "this gateway starts as many logins as it can at once; nothing was started",
                        Load::LiveLogins => "the tenant has too many live logins here; nothing was started",
                        Load::Calls => "this gateway answers as many calls as it can at once",
                        Load::AgentWatches => "this agent has too many streams and waits open",
                        Load::ClientWatches => "this client has too many streams and waits open",
                        Load::TenantWatches => "the tenant has too many streams and waits open",
                        Load::Landings => "too many codes of redirect logins are handed over at once",
                    };
                    format!("{what}; see RetryInfo")
                }
                E::ProviderBusy { .. } => {
                    "the provider takes no further login for this person now; see RetryInfo".into()
                }
                E::ProviderCredentialsRefused => {
                    "the provider refuses the gateway's credentials; nothing was started; tell the operator".into()
                }
                E::ProviderUnavailable => "the provider cannot be reached; nothing was started; try again".into(),
                E::ProviderRefused => "the provider refuses to answer this; tell the operator".into(),
                E::CheckNotOffered => "this provider does not say which numbers can log in".into(),
                E::RequestIdReused => "this request_id started a login with other content; use a new one".into(),
                E::Store(StoreError::Unavailable(_)) => {
                    "the gateway's store cannot be reached; try again with the same request_id".into()
                }
                E::Store(StoreError::Recovering { .. }) => {
                    "the gateway's store has lost data and is being put right; try again with the same request_id"
                        .into()
                }
                E::Store(StoreError::Foreign(_)) => {
                    "another version of the gateway wrote this; try again, another replica can read it".into()
                }
                E::Store(StoreError::Full(_)) => {
                    "the gateway's store takes no new logins now; try again with the same request_id".into()
                }
                E::Store(StoreError::Unreadable(_)) | E::Internal(_) => FAILED.into(),
                E::CursorTooOld { .. } => {
                    "what follows this cursor cannot be read any more; watch again from a snapshot".into()
                }
                E::EpochChanged { .. } => {
                    "the store has lost events and cursors from before are void; watch again from a snapshot".into()
                }
                E::Draining => "this gateway is about to stop; connect again".into(),
                E::AuditUnavailable => "the gateway cannot write its audit log; nothing was started; try again".into(),
                E::ConnectionAge => "this connection has reached its age; watch again, on another one".into(),
                E::SlowReader => "the stream was read too slowly; watch again from its cursor".into(),
                E::NotFound
                | E::NotYours
                | E::StartWithdrawn
                | E::RedirectCodeRefused
                | E::RedirectRejected
                | E::RedirectLost
                | E::CodeNotAsked
                | E::LoginEnded => error.to_string(),
            },
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        use logins::Error as E;
        match self {
            Self::Logins(
                E::TooManyStarts { retry_after, .. }
                | E::QuietHours { retry_after }
                | E::ProviderBusy { retry_after }
                | E::Store(StoreError::Recovering { retry_after }),
            ) => Some(*retry_after),
            Self::Logins(
                E::ProviderUnavailable
                | E::StartWithdrawn
                | E::Draining
                | E::AuditUnavailable
                | E::Store(StoreError::Unavailable(_) | StoreError::Foreign(_) | StoreError::Full(_)),
            ) => Some(OUTAGE_RETRY),
            Self::Logins(E::Overloaded(load)) => Some(load.retry_after()),
            Self::TookTooLong | Self::TokenKeysUnavailable => Some(OUTAGE_RETRY),
            Self::CredentialChanged | Self::Logins(E::ConnectionAge) => Some(MOVE_RETRY),
            Self::CredentialMissing
            | Self::CredentialInvalid
            | Self::CredentialExpired
            | Self::CredentialMismatch
            | Self::TokenInvalid(_)
            | Self::AgentTokenInvalid(_)
            | Self::CallNotAllowed
            | Self::NetworkNotAllowed
            | Self::Panicked
            | Self::Fields(_)
            | Self::Logins(_) => None,
        }
    }

    /// Where a stream can be gone on with, which limit was reached, and what is shut
    /// out.
    fn metadata(&self, cursor: Option<String>) -> HashMap<String, String> {
        let oldest = match self {
            Self::Logins(logins::Error::CursorTooOld { oldest } | logins::Error::EpochChanged { oldest }) => {
                Some(oldest)
            }
            _ => None,
        };
        let cursor = cursor.map(|cursor| ("cursor".to_owned(), cursor));
        let oldest = oldest.map(|oldest| ("oldest_cursor".to_owned(), oldest.to_string()));
        let limit = match self {
            Self::Logins(logins::Error::TooManyStarts { counter, .. }) => Some(counter.name()),
            Self::Logins(logins::Error::Overloaded(load)) => Some(load.name()),
            _ => None,
        };
        let limit = limit.map(|limit| ("limit".to_owned(), limit.to_owned()));
        let blocked = match self {
            Self::Logins(logins::Error::Blocked(blocked)) => Some(("blocked".to_owned(), blocked.name().to_owned())),
            _ => None,
        };
        cursor.into_iter().chain(oldest).chain(limit).chain(blocked).collect()
    }

    fn log(&self, method: &'static str, reason: &'static str) {
        match self {
            Self::Logins(logins::Error::Store(StoreError::Unavailable(source) | StoreError::Full(source))) => {
                warn!(rpc.method = method, reason, %source, "call failed");
            }
            Self::Logins(
                cause @ (logins::Error::Store(StoreError::Unreadable(_) | StoreError::Foreign(_))
                | logins::Error::Internal(_)
                | logins::Error::RedirectLost
                | logins::Error::ProviderCredentialsRefused),
            ) => error!(rpc.method = method, reason, %cause, "call failed"),
            Self::TokenInvalid(rule) | Self::AgentTokenInvalid(rule) => {
                info!(rpc.method = method, reason, %rule, "call refused");
            }
            Self::TookTooLong => warn!(rpc.method = method, reason, "call failed"),
            Self::Panicked => error!(rpc.method = method, reason, "call failed"),
            _ => info!(rpc.method = method, reason, "call refused"),
        }
    }

    /// The status for the caller; logs the failed call.
    pub(super) fn into_status(self, method: &'static str) -> Status {
        self.into_status_with(method, None, None)
    }

    /// As [`CallError::into_status`], for a stream that can be gone on with.
    pub(super) fn into_end_of_stream(self, method: &'static str, cursor: Option<String>) -> Status {
        self.into_status_with(method, cursor, None)
    }

    fn into_status_with(self, method: &'static str, cursor: Option<String>, spoken: Option<Spoken>) -> Status {
        let (code, reason) = self.code_and_reason();
        self.log(method, reason);
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, self.metadata(cursor));
        if let Self::Fields(fields) = &self {
            for (name, problem) in fields {
                details.add_bad_request_violation(name, problem);
            }
        }
        if let Some(after) = self.retry_after() {
            details.set_retry_info(Some(after));
        }
        if let Some(Spoken { language, text }) = spoken {
            details.set_localized_message(language.tag(), text);
        }
        Status::with_error_details(code, self.message(), details)
    }
}

/// What an agent or a screen can say, as `agent_text` of a login.
#[derive(Debug)]
struct Spoken {
    language: Language,
    text: String,
}

/// A refused call about a number, and what can be said of it.
#[derive(Debug)]
pub(super) struct Refusal {
    error: CallError,
    spoken: Option<Spoken>,
}

impl Refusal {
    pub(super) fn spoken(error: logins::Error, language: Language, phone: Option<&PhoneNumber>) -> Self {
        let spoken = refusal_text(&error, language, phone).map(|text| Spoken { language, text });
        Self { error: error.into(), spoken }
    }

    pub(super) const fn error(&self) -> &CallError {
        &self.error
    }

    /// See [`CallError::into_status`].
    pub(super) fn into_status(self, method: &'static str) -> Status {
        self.error.into_status_with(method, None, self.spoken)
    }
}

impl<E: Into<CallError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self { error: error.into(), spoken: None }
    }
}

impl From<logins::Error> for CallError {
    fn from(error: logins::Error) -> Self {
        Self::Logins(error)
    }
}

#[cfg(test)]
mod tests;
