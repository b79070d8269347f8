//! Partner keys: who calls, when it is a partner for one of its merchants.
//!
//! Such a request shows the platform's token of the partner in the place of the
//! merchant's id and secret, and names the merchant in `Merchant-Serial-Number`
//! (Login API guide, "Partner keys"). Basic and post are refused to a partner, and
//! the merchant's sales unit must be one with Basic.

use axum::http::{HeaderMap, header};

use super::answer::OauthError;
use super::form::{Form, authenticate, text_header};
use super::platform::{self, MERCHANT_SERIAL_NUMBER};
use super::settings::{AuthMethod, ClientRegistration, PartnerRegistration};
use super::state::Shared;

/// The sales unit that a request is for, by its own credentials or its partner's token.
pub(super) fn caller<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
    form: &Form,
) -> Result<&'a ClientRegistration, OauthError> {
    if is_bearer(headers) { Ok(merchant(shared, headers)?.1) } else { own(shared, headers, form) }
}

/// As [`caller`], where it is not said that partners may call at all.
pub(super) fn caller_of_user_exists<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
    form: &Form,
) -> Result<&'a ClientRegistration, OauthError> {
    if !is_bearer(headers) {
        return own(shared, headers, form);
    }
    match merchant(shared, headers)? {
        (partner, client) if partner.may_check_numbers => Ok(client),
        _ => Err(OauthError::invalid_client("Client authentication must be Basic")),
    }
}

fn own<'a>(shared: &'a Shared, headers: &HeaderMap, form: &Form) -> Result<&'a ClientRegistration, OauthError> {
    authenticate(&shared.settings().clients, headers, form)
}

fn is_bearer(headers: &HeaderMap) -> bool {
    let authorization = text_header(headers, header::AUTHORIZATION.as_str()).unwrap_or_default();
    authorization.split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
}

fn merchant<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
) -> Result<(&'a PartnerRegistration, &'a ClientRegistration), OauthError> {
    let settings = shared.settings();
    let id = platform::holder(shared, headers)
        .ok_or(OauthError::invalid_client("The access token is not known or has expired"))?;
    let partner = settings
        .partners
        .iter()
        .find(|partner| partner.client_id == id)
        .ok_or(OauthError::invalid_request("A sales unit's own token is not client authentication"))?;
    let msn = text_header(headers, MERCHANT_SERIAL_NUMBER)
        .ok_or(OauthError::invalid_request("Merchant-Serial-Number is missing"))?;
    let is_theirs = partner.merchant_serial_numbers.iter().any(|known| known == msn);
    let client = settings.clients.iter().find(|client| client.merchant_serial_number == msn);
    match client {
        Some(client) if is_theirs && client.auth_method == AuthMethod::Basic => Ok((partner, client)),
        Some(_) | None => Err(OauthError::bad("unauthorized_client", "Not a sales unit of this partner")),
    }
}
