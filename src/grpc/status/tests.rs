//! Pins code, reason and retry of every error, and the contract's list of them.

use std::collections::BTreeSet;

use logins::Error as E;

use super::*;
use crate::identity::Claim;
use crate::logins::{Blocked, Cursor, Role};
use crate::session::TenantId;

const PROTOS: [&str; 2] = [
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/proto/ciba_gateway/v1/login_service.proto")),
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/proto/ciba_gateway/v1/shop_qr_service.proto")),
];

/// What the heads of the services say.
fn contract() -> impl Iterator<Item = &'static str> {
    PROTOS.iter().flat_map(|proto| proto.lines().take_while(|line| !line.starts_with("package")))
}

type Row = (CallError, Code, &'static str, Option<Duration>);

fn table() -> Vec<Row> {
    let secs = Duration::from_secs;
    let store = |error| CallError::Logins(E::Store(error));
    let of = CallError::Logins;
    vec![
        (CallError::CredentialMissing, Code::Unauthenticated, "CREDENTIAL_MISSING", None),
        (CallError::CredentialInvalid, Code::Unauthenticated, "CREDENTIAL_INVALID", None),
        (CallError::CredentialExpired, Code::Unauthenticated, "CREDENTIAL_EXPIRED", None),
        (CallError::CredentialMismatch, Code::Unauthenticated, "CREDENTIAL_MISMATCH", None),
        (CallError::TokenInvalid(Refused::Audience), Code::Unauthenticated, "CREDENTIAL_INVALID", None),
        (CallError::AgentTokenInvalid(Refused::Agent), Code::Unauthenticated, "AGENT_TOKEN_INVALID", None),
        (CallError::TokenKeysUnavailable, Code::Unavailable, "TOKEN_KEYS_UNAVAILABLE", Some(secs(2))),
        (CallError::CallNotAllowed, Code::PermissionDenied, "CALL_NOT_ALLOWED", None),
        (CallError::NetworkNotAllowed, Code::PermissionDenied, "NETWORK_NOT_ALLOWED", None),
        (of(E::AgentNotProven), Code::Unauthenticated, "AGENT_NOT_PROVEN", None),
        (CallError::CredentialChanged, Code::Unavailable, "CREDENTIAL_CHANGED", Some(Duration::from_millis(200))),
        (of(E::Blocked(Blocked::Agent)), Code::PermissionDenied, "BLOCKED", None),
        (CallError::field("request_id", "is wrong"), Code::InvalidArgument, "INVALID_FIELD", None),
        (of(E::RedirectCodeRefused), Code::FailedPrecondition, "REDIRECT_CODE_REFUSED", None),
        (of(E::RedirectRejected), Code::FailedPrecondition, "REDIRECT_REJECTED", None),
        (of(E::RedirectLost), Code::DataLoss, "REDIRECT_LOST", None),
        (of(E::ReadOutNotAllowed), Code::PermissionDenied, "READ_OUT_NOT_ALLOWED", None),
        (of(E::OutboundNotAllowed), Code::PermissionDenied, "OUTBOUND_NOT_ALLOWED", None),
        (of(E::QuietHours { retry_after: secs(79) }), Code::FailedPrecondition, "QUIET_HOURS", Some(secs(79))),
        (of(E::PurposeNotAllowed), Code::PermissionDenied, "PURPOSE_NOT_ALLOWED", None),
        (of(E::ClaimNotAllowed(Claim::Email)), Code::PermissionDenied, "CLAIM_NOT_ALLOWED", None),
        (of(E::NationalIdNotAllowed), Code::PermissionDenied, "NATIONAL_ID_NOT_ALLOWED", None),
        (of(E::RoleMissing(Role::NationalId)), Code::PermissionDenied, "ROLE_MISSING", None),
        (of(E::ChannelNotAllowed), Code::PermissionDenied, "CHANNEL_NOT_ALLOWED", None),
        (of(E::NotFound), Code::NotFound, "LOGIN_NOT_FOUND", None),
        (of(E::NotYours), Code::PermissionDenied, "NOT_YOURS", None),
        (of(E::RequestIdReused), Code::AlreadyExists, "REQUEST_ID_REUSED", None),
        (of(E::CheckInNotFound), Code::NotFound, "CHECK_IN_NOT_FOUND", None),
        (of(E::CheckInUsed), Code::FailedPrecondition, "CHECK_IN_USED", None),
        (of(E::CheckInExpired), Code::FailedPrecondition, "CHECK_IN_EXPIRED", None),
        (of(E::PersonalQrRefused), Code::FailedPrecondition, "PERSONAL_QR_REFUSED", None),
        (of(E::ShopQrNotFound), Code::NotFound, "SHOP_QR_NOT_FOUND", None),
        (of(E::ShopQrNotConfigured), Code::FailedPrecondition, "SHOP_QR_NOT_CONFIGURED", None),
        (of(E::NumberBusy), Code::FailedPrecondition, "NUMBER_BUSY", None),
        (of(E::CallBusy), Code::FailedPrecondition, "CALL_BUSY", None),
        (of(E::ClientUnknown), Code::NotFound, "CLIENT_UNKNOWN", None),
        (
            of(E::TooManyStarts { counter: Counter::Agent, retry_after: secs(77) }),
            Code::ResourceExhausted,
            "TOO_MANY_STARTS",
            Some(secs(77)),
        ),
        (of(E::ProviderBusy { retry_after: secs(78) }), Code::ResourceExhausted, "PROVIDER_BUSY", Some(secs(78))),
        (of(E::Overloaded(Load::Starts)), Code::ResourceExhausted, "OVERLOADED", Some(secs(1))),
        (of(E::Overloaded(Load::TenantWatches)), Code::ResourceExhausted, "OVERLOADED", Some(secs(10))),
        (CallError::TookTooLong, Code::DeadlineExceeded, "CALL_TOOK_TOO_LONG", Some(secs(2))),
        (CallError::Panicked, Code::Internal, "INTERNAL", None),
        (of(E::ProviderCredentialsRefused), Code::FailedPrecondition, "PROVIDER_CREDENTIALS_REFUSED", None),
        (of(E::ProviderRefused), Code::FailedPrecondition, "PROVIDER_REFUSED", None),
        (of(E::ProviderUnavailable), Code::Unavailable, "PROVIDER_UNAVAILABLE", Some(secs(2))),
        (of(E::CheckNotOffered), Code::Unimplemented, "NOT_SUPPORTED", None),
        (of(E::StartWithdrawn), Code::Unavailable, "START_WITHDRAWN", Some(secs(2))),
        (of(E::CodeNotAsked), Code::FailedPrecondition, "CODE_NOT_ASKED", None),
        (of(E::LoginEnded), Code::FailedPrecondition, "LOGIN_ENDED", None),
        (of(E::Draining), Code::Unavailable, "DRAINING", Some(secs(2))),
        (of(E::AuditUnavailable), Code::Unavailable, "AUDIT_UNAVAILABLE", Some(secs(2))),
        (of(E::ConnectionAge), Code::Unavailable, "CONNECTION_AGE", Some(Duration::from_millis(200))),
        (of(E::SlowReader), Code::Aborted, "SLOW_READER", None),
        (store(StoreError::Unavailable("the-secret".into())), Code::Unavailable, "STORE_UNAVAILABLE", Some(secs(2))),
        (of(E::CursorTooOld { oldest: cursor() }), Code::OutOfRange, "CURSOR_TOO_OLD", None),
        (of(E::EpochChanged { oldest: cursor() }), Code::OutOfRange, "EPOCH_CHANGED", None),
        (store(StoreError::Recovering { retry_after: secs(5) }), Code::Unavailable, "STORE_RECOVERING", Some(secs(5))),
        (store(StoreError::Foreign("the-secret")), Code::Unavailable, "RECORD_FOREIGN", Some(secs(2))),
        (store(StoreError::Full("the-secret".into())), Code::ResourceExhausted, "STORE_FULL", Some(secs(2))),
        (store(StoreError::Unreadable("the-secret")), Code::Internal, "INTERNAL", None),
        (of(E::Internal("the-secret")), Code::Internal, "INTERNAL", None),
    ]
}

/// After event 4711 of some epoch of the tenant `acme`.
const CURSOR: &str = "MZyfQYlqNDcxMS4yek9RZjh0WVZiNFkxeDNt";

fn cursor() -> Box<Cursor> {
    let tenant = TenantId::new("acme").unwrap();
    Box::new(Cursor::parse(&tenant, CURSOR).unwrap())
}

/// SR39: a refusal has the same word in the audit log as for the caller.
#[test]
fn what_callers_are_told_is_what_is_noted() {
    for (error, _, reason, _) in table() {
        if let CallError::Logins(error) = error {
            assert_eq!(error.reason(), reason);
        }
    }
}

#[test]
fn the_end_of_a_stream_says_where_to_go_on() {
    let metadata = |status: &Status| status.get_error_details().error_info().unwrap().metadata.clone();
    let status = CallError::from(E::Draining).into_end_of_stream("WatchLogins", Some(cursor().to_string()));
    assert_eq!(metadata(&status), HashMap::from([("cursor".to_owned(), CURSOR.to_owned())]));
    let status = CallError::from(E::CursorTooOld { oldest: cursor() }).into_status("WatchLogins");
    assert_eq!(metadata(&status), HashMap::from([("oldest_cursor".to_owned(), CURSOR.to_owned())]));
}

/// O22, mirrored: texts without CR, LF or TAB, which tell nothing of our inside.
#[test]
fn every_error_has_its_code_reason_and_retry() {
    for (error, code, reason, retry) in table() {
        let status = error.into_status("StartLogin");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str(), info.domain.as_str()), (code, reason, DOMAIN));
        let told = details.retry_info().and_then(|info| info.retry_delay);
        assert_eq!(told, retry, "{reason}");
        assert!(!status.message().is_empty() && !status.message().contains(['\r', '\n', '\t']), "{reason}");
        assert!(!status.message().contains("the-secret"), "{reason}");
    }
}

#[test]
fn fields_are_named_in_the_details() {
    let fields = CallError::Fields(vec![("a".into(), "is wrong".into()), ("b".into(), "too".into())]);
    let status = fields.into_status("StartLogin");
    let details = status.get_error_details();
    let fields: Vec<_> = details.bad_request().unwrap().field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["a", "b"]);
    assert_eq!(status.message(), "a is wrong; b too");
}

/// The comments at the heads of the services name every code and reason, and no other.
#[test]
fn the_contract_lists_every_reason() {
    let given: BTreeSet<_> = table().into_iter().map(|(_, code, reason, _)| (code_name(code), reason)).collect();
    let mut listed = BTreeSet::new();
    for line in contract() {
        let Some(entry) = line.strip_prefix("//   ") else { continue };
        let mut words = entry.split_whitespace();
        let Some(code) = words.next() else { continue };
        for word in words {
            listed.insert((code, word.trim_end_matches(',')));
            if !word.ends_with(',') {
                break;
            }
        }
    }
    assert_eq!(listed, given);
}

/// The message points to RetryInfo only where there is one, and the other way round.
#[test]
fn the_contract_says_where_retry_info_is() {
    for (_, _, reason, retry) in table() {
        let line = contract().find(|line| line.starts_with("//   ") && line.contains(reason)).unwrap();
        assert_eq!(line.contains("RetryInfo"), retry.is_some(), "{line}");
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Aborted => "ABORTED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unavailable => "UNAVAILABLE",
        Code::Internal => "INTERNAL",
        other => panic!("the contract does not know {other:?}"),
    }
}
