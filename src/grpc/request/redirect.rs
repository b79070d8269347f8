//! Where a login finishes, and what a tenant's page was given.

use super::super::status::CallError;
use super::super::v1;
use super::super::v1::start_login_request::Finish as Asked;
use super::Violations;
use crate::ciba::{RedirectCode, RedirectError};
use crate::logins::{CompleteRedirect, Landed, Tenant};
use crate::session::{Finish, LoginId, RedirectUri};

const URI: &str = "finish_by_redirect.redirect_uri";

/// Where the login is to finish. What is sent to the provider is one of the pages that
/// the configuration has, and nothing that a caller makes up.
pub(super) fn finish(asked: Option<&Asked>, tenant: &Tenant, wrong: &mut Violations) -> Finish {
    let Some(Asked::FinishByRedirect(redirect)) = asked else { return Finish::InApp };
    if !tenant.credential.provider().offers_redirect() {
        wrong.add("finish_by_redirect", "is not offered by this tenant's provider");
        return Finish::InApp;
    }
    let uri = match (redirect.redirect_uri.as_str(), &tenant.pages.gateways) {
        ("", Some(own)) => Some(own.clone()),
        ("", None) => {
            wrong.add(URI, "is required: this gateway has no landing page of its own, which needs [public]");
            None
        }
        (text, Some(own)) if text == own.as_str() => Some(own.clone()),
        (text, _) => wrong.check(URI, RedirectUri::new(text)).filter(|uri| {
            let is_listed = tenant.pages.has(uri.as_str());
            if !is_listed {
                wrong.add(URI, "must be one of the tenant's redirect_uris in the configuration, letter for letter");
            }
            is_listed
        }),
    };
    uri.map_or(Finish::InApp, Finish::Redirect)
}

pub(in crate::grpc) fn complete_redirect(request: &v1::CompleteRedirectRequest) -> Result<CompleteRedirect, CallError> {
    let mut wrong = Violations::default();
    let landed = match (request.code.as_str(), request.error.as_str()) {
        ("", "") => {
            wrong.add("code", "is required, unless the page was given an error");
            None
        }
        (code, "") => {
            let code = RedirectCode::new(code).ok_or("must be 1 to 1024 visible ASCII characters, as the page got it");
            wrong.check("code", code).map(Landed::With)
        }
        ("", error) => {
            let error =
                RedirectError::parse(error).ok_or("must be 1 to 64 visible ASCII characters, as the page got it");
            wrong.check("error", error).map(Landed::Without)
        }
        (_, _) => {
            wrong.add("error", "and code exclude each other");
            None
        }
    };
    let login = match request.login_id.as_str() {
        "" => None,
        text => wrong.check("login_id", LoginId::parse(text)),
    };
    wrong.finish()?;
    let landed = landed.ok_or_else(|| CallError::field("request", "is incomplete"))?;
    Ok(CompleteRedirect { landed, login })
}
