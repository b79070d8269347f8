//! Why the gateway refuses a call, and the stable word for each reason.

use std::time::Duration;

use super::{Blocked, Cursor, Load, Role};
use crate::identity::Claim;
use crate::store::{Counter, StoreError};

/// Why a call could not do what it was asked. Speaks about the call; what
/// became of a login is the login's state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator has shut that out.
    #[error("the {} is on the block list", .0.name())]
    Blocked(Blocked),
    /// The client's agents must prove themselves, and this one has not.
    #[error("the agent is the client's word alone")]
    AgentNotProven,
    /// The client may not start logins on this channel.
    #[error("the client may not use this channel")]
    ChannelNotAllowed,
    /// In this tenant's call centres the person reads the code, not the agent.
    #[error("the tenant's call centres use read-back alone")]
    ReadOutNotAllowed,
    /// The tenant's agents may not call people and ask them to identify themselves.
    #[error("the tenant does not call people to have them identified")]
    OutboundNotAllowed,
    /// The tenant's agents call nobody at this time of the day.
    #[error("the tenant calls nobody now")]
    QuietHours {
        /// When they may call again.
        retry_after: Duration,
    },
    /// The tenant has no such purpose, or not for this channel.
    #[error("the tenant has no such purpose for this channel")]
    PurposeNotAllowed,
    /// The claim may not be asked for with this purpose.
    #[error("the purpose does not go with the claim {0:?}")]
    ClaimNotAllowed(Claim),
    /// The tenant has not stated by what right it asks for national identity numbers.
    #[error("the tenant states no ground for national identity numbers")]
    NationalIdNotAllowed,
    /// The caller lacks the role that this takes.
    #[error("the caller lacks the role {0:?}")]
    RoleMissing(Role),
    /// No such login in the caller's tenant.
    #[error("there is no such login")]
    NotFound,
    /// The login belongs to another client or agent of the tenant.
    #[error("the login belongs to another client or agent")]
    NotYours,
    /// The `request_id` was used for something else.
    #[error("this request_id was used with other content")]
    RequestIdReused,
    /// No such check-in in the caller's tenant, or none any more.
    #[error("there is no such check-in")]
    CheckInNotFound,
    /// The check-in has started a login.
    #[error("this check-in has started a login already")]
    CheckInUsed,
    /// The check-in can start nothing any more.
    #[error("this check-in is older than 15 minutes")]
    CheckInExpired,
    /// The provider does not know what was scanned.
    #[error("the provider does not know the scanned code")]
    PersonalQrRefused,
    /// No such shop's code in the caller's tenant.
    #[error("there is no such QR code")]
    ShopQrNotFound,
    /// The tenant's provider has not what QR codes need.
    #[error("the tenant has no access to the provider's QR API")]
    ShopQrNotConfigured,
    /// The number has a live login.
    #[error("this number has a live login")]
    NumberBusy,
    /// The phone call has a live login.
    #[error("this phone call has a live login")]
    CallBusy,
    /// The tenant has no such system.
    #[error("the tenant has no such client")]
    ClientUnknown,
    /// A guard refused.
    #[error("too many starts, counted by {}", .counter.name())]
    TooManyStarts {
        /// What there is too much of. [`Counter::Number`] also for a number that has
        /// said no, or that others start logins for: who and why is nobody's business.
        counter: Counter,
        /// When to come back.
        retry_after: Duration,
    },
    /// This process has as much to do as it takes on.
    #[error("overloaded, counted by {}", .0.name())]
    Overloaded(Load),
    /// The provider takes no further request for this person now.
    #[error("the provider takes no further request for this person now")]
    ProviderBusy {
        /// When to come back.
        retry_after: Duration,
    },
    /// The provider refuses the tenant's credentials.
    #[error("the provider refuses the tenant's credentials")]
    ProviderCredentialsRefused,
    /// The provider cannot be reached; nothing was sent.
    #[error("the provider cannot be reached")]
    ProviderUnavailable,
    /// The provider refuses the question.
    #[error("the provider refuses the question")]
    ProviderRefused,
    /// The provider does not say which numbers can log in.
    #[error("the provider does not say which numbers can log in")]
    CheckNotOffered,
    /// The start that this `request_id` named was taken back.
    #[error("an earlier start with this request_id was taken back, because nothing was started")]
    StartWithdrawn,
    /// The provider gives nothing for the code: it has been used, or is too old.
    #[error("the code has been used, or is too old")]
    RedirectCodeRefused,
    /// What came for the code is of no live redirect login of the tenant, or not of the
    /// one that was named, or cannot be believed; or the login is no redirect login.
    #[error("this is of no redirect login that waits for it; nobody was logged in")]
    RedirectRejected,
    /// The code has been exchanged, and an outage of the store, or of the provider's keys,
    /// outlasted what came for it. Whether the login has it is not known.
    #[error("the code is used up, and an outage has kept what came for it; the login tells what becomes of it")]
    RedirectLost,
    /// This login takes no code.
    #[error("this login takes no code")]
    CodeNotAsked,
    /// Too late.
    #[error("the login has ended")]
    LoginEnded,
    /// Nobody could tell later that it was started.
    #[error("the audit log cannot be written")]
    AuditUnavailable,
    /// The gateway is about to stop.
    #[error("the gateway is draining")]
    Draining,
    /// The caller's connection has reached its age.
    #[error("the connection has reached its age")]
    ConnectionAge,
    /// The reader of a stream fell too far behind.
    #[error("the reader of the stream fell too far behind")]
    SlowReader,
    /// What follows this cursor cannot be read any more.
    #[error("the cursor is older than what can still be read")]
    CursorTooOld {
        /// The oldest one that leads on.
        oldest: Box<Cursor>,
    },
    /// The store has lost events: a cursor from before says nothing now.
    #[error("the stream of events has begun anew")]
    EpochChanged {
        /// The oldest one that leads on.
        oldest: Box<Cursor>,
    },
    /// The store failed. Says nothing about any login.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A defect or a lack of resources on our side.
    #[error("internal: {0}")]
    Internal(&'static str),
}

impl Error {
    /// The stable word for it, the same as callers are told.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Blocked(_) => "BLOCKED",
            Self::AgentNotProven => "AGENT_NOT_PROVEN",
            Self::ChannelNotAllowed => "CHANNEL_NOT_ALLOWED",
            Self::ReadOutNotAllowed => "READ_OUT_NOT_ALLOWED",
            Self::OutboundNotAllowed => "OUTBOUND_NOT_ALLOWED",
            Self::QuietHours { .. } => "QUIET_HOURS",
            Self::PurposeNotAllowed => "PURPOSE_NOT_ALLOWED",
            Self::ClaimNotAllowed(_) => "CLAIM_NOT_ALLOWED",
            Self::NationalIdNotAllowed => "NATIONAL_ID_NOT_ALLOWED",
            Self::RoleMissing(_) => "ROLE_MISSING",
            Self::NotFound => "LOGIN_NOT_FOUND",
            Self::NotYours => "NOT_YOURS",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::CheckInNotFound => "CHECK_IN_NOT_FOUND",
            Self::CheckInUsed => "CHECK_IN_USED",
            Self::CheckInExpired => "CHECK_IN_EXPIRED",
            Self::PersonalQrRefused => "PERSONAL_QR_REFUSED",
            Self::ShopQrNotFound => "SHOP_QR_NOT_FOUND",
            Self::ShopQrNotConfigured => "SHOP_QR_NOT_CONFIGURED",
            Self::NumberBusy => "NUMBER_BUSY",
            Self::CallBusy => "CALL_BUSY",
            Self::ClientUnknown => "CLIENT_UNKNOWN",
            Self::TooManyStarts { .. } => "TOO_MANY_STARTS",
            Self::Overloaded(_) => "OVERLOADED",
            Self::ProviderBusy { .. } => "PROVIDER_BUSY",
            Self::ProviderCredentialsRefused => "PROVIDER_CREDENTIALS_REFUSED",
            Self::ProviderUnavailable => "PROVIDER_UNAVAILABLE",
            Self::ProviderRefused => "PROVIDER_REFUSED",
            Self::CheckNotOffered => "NOT_SUPPORTED",
            Self::StartWithdrawn => "START_WITHDRAWN",
            Self::RedirectCodeRefused => "REDIRECT_CODE_REFUSED",
            Self::RedirectRejected => "REDIRECT_REJECTED",
            Self::RedirectLost => "REDIRECT_LOST",
            Self::CodeNotAsked => "CODE_NOT_ASKED",
            Self::LoginEnded => "LOGIN_ENDED",
            Self::Draining => "DRAINING",
            Self::AuditUnavailable => "AUDIT_UNAVAILABLE",
            Self::ConnectionAge => "CONNECTION_AGE",
            Self::SlowReader => "SLOW_READER",
            Self::CursorTooOld { .. } => "CURSOR_TOO_OLD",
            Self::EpochChanged { .. } => "EPOCH_CHANGED",
            Self::Store(StoreError::Unavailable(_)) => "STORE_UNAVAILABLE",
            Self::Store(StoreError::Recovering { .. }) => "STORE_RECOVERING",
            Self::Store(StoreError::Foreign(_)) => "RECORD_FOREIGN",
            Self::Store(StoreError::Full(_)) => "STORE_FULL",
            Self::Store(StoreError::Unreadable(_)) | Self::Internal(_) => "INTERNAL",
        }
    }
}
