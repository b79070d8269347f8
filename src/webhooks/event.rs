//! What the provider tells, by the names that it has for it. Pure.

use serde_json::Value;

/// An event that the provider can be asked to tell of (Webhooks API, event types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// `login.merchant-initiated.ping.v1`: a login that is polled for should be asked
    /// about now.
    LoginPing,
    /// `user.checked-in.v1`: somebody has scanned a shop's QR code.
    CheckedIn,
}

impl EventKind {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::LoginPing, Self::CheckedIn];

    /// As the provider calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoginPing => "login.merchant-initiated.ping.v1",
            Self::CheckedIn => "user.checked-in.v1",
        }
    }

    /// The event of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Which event a body tells of: by the member that no other has, for the provider
    /// says its name neither in the body nor in a header.
    #[must_use]
    pub fn of(body: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| body.get(kind.member()).is_some())
    }

    const fn member(self) -> &'static str {
        match self {
            Self::LoginPing => "auth_req_id",
            Self::CheckedIn => "customerToken",
        }
    }
}
