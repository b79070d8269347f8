//! What is counted apart: the labels, each from a fixed set. None is about a person.

use std::fmt;

use http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use serde::Serialize;

use crate::ciba::PollAnswer;
use crate::session::FailureReason;

/// What the provider is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderOperation {
    /// Metadata.
    Discovery,
    /// Signing keys.
    Keys,
    /// Whether a number can log in.
    UserExists,
    /// A login.
    Start,
    /// How a login stands.
    Poll,
    /// What a landing was given.
    Code,
    /// Who the person is.
    Userinfo,
    /// Forgetting a token.
    Revoke,
    /// A token for the vendor's other APIs, or for partner keys.
    PlatformToken,
    /// Registrations of webhooks.
    Webhooks,
    /// One of a shop's QR codes.
    ShopQr,
    /// All of them.
    ShopQrs,
    /// Whose a customer's QR code is.
    ExchangeQr,
    /// Keys of a tenant's own identity provider, which is another one.
    CallerKeys,
}

impl ProviderOperation {
    /// The operation's name, for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "keys",
            Self::UserExists => "user_exists",
            Self::Start => "start",
            Self::Poll => "poll",
            Self::Code => "code",
            Self::Userinfo => "userinfo",
            Self::Revoke => "revoke",
            Self::PlatformToken => "platform_token",
            Self::Webhooks => "webhooks",
            Self::ShopQr => "shop_qr",
            Self::ShopQrs => "shop_qrs",
            Self::ExchangeQr => "exchange_qr",
            Self::CallerKeys => "caller_keys",
        }
    }
}

/// What the store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreOperation {
    /// Counting a start over all tenants.
    Admit,
    /// Counting a question about a number.
    Count,
    /// Claiming what a start needs.
    Reserve,
    /// Taking that back.
    Release,
    /// Reading a login.
    Load,
    /// Writing a login.
    Save,
    /// Finding logins by their phone call or number.
    Find,
    /// Reading a tenant's logins.
    List,
    /// Reading a tenant's stream of events.
    Events,
    /// Passing a ping of the provider on.
    Ping,
    /// Giving a sign of life.
    Beat,
    /// Taking over the logins of a replica that is gone.
    Adopt,
    /// Keeping, reading or taking check-ins.
    CheckIns,
}

/// What became of a configuration that was read while running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// It runs.
    Taken,
    /// It runs but for what waits for a restart.
    TakenInPart,
    /// It has mistakes or cannot be used; nothing of it runs.
    Refused,
}

pub(super) const fn poll_result(answer: &PollAnswer) -> &'static str {
    match answer {
        PollAnswer::Redeemed(_) => "redeemed",
        PollAnswer::Pending { .. } => "pending",
        PollAnswer::SlowDown { .. } => "slow_down",
        PollAnswer::Denied => "denied",
        PollAnswer::Expired => "expired",
        PollAnswer::InvalidGrant => "invalid_grant",
        PollAnswer::Refused(_) => "refused",
        PollAnswer::CredentialsRefused => "credentials_refused",
        PollAnswer::Trouble { .. } => "trouble",
    }
}

pub(super) fn status_class(status: Option<StatusCode>) -> &'static str {
    match status.map(|status| status.as_u16() / 100) {
        None => "none",
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        Some(_) => "other",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Started {
    pub(super) channel: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Ended {
    pub(super) channel: &'static str,
    pub(super) outcome: &'static str,
    pub(super) reason: Option<Name<FailureReason>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Polled {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Requested {
    pub(super) operation: Name<ProviderOperation>,
    pub(super) status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Stored {
    pub(super) operation: Name<StoreOperation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Called {
    pub(super) method: &'static str,
    pub(super) code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Cut {
    pub(super) why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Shed {
    pub(super) limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Panicked {
    pub(super) place: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Landed {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reloaded {
    pub(super) result: Name<Reload>,
}

/// A fieldless enum as a label, by the name that it has for serde.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name<T>(pub(super) T);

impl<T: Serialize> fmt::Display for Name<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

impl<T: Serialize> EncodeLabelValue for Name<T> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        fmt::Write::write_fmt(encoder, format_args!("{self}"))
    }
}
