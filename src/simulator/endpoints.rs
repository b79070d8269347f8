//! Which path leads where. The paths are Vipps's own (OpenAPI "Login API"), so a
//! client only has to change the host.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

use super::journal::{self, Endpoint};
use super::state::Shared;
use super::{backchannel, control, discovery, phone_page, platform, qr, token, userinfo, webhooks};

/// The issuer's path. The slash at its end is part of the identifier.
pub(super) const ISSUER: &str = "/access-management-1.0/access/";

/// Paths below the host.
pub(super) mod paths {
    pub(crate) const DISCOVERY: &str = "/access-management-1.0/access/.well-known/openid-configuration";
    pub(crate) const WELL_KNOWN: &str = "/access-management-1.0/access/.well-known/";
    pub(crate) const KEY_SET: &str = "/access-management-1.0/access/.well-known/{file}";
    pub(crate) const AUTHORIZATION: &str = "/access-management-1.0/access/oauth2/auth";
    pub(crate) const TOKEN: &str = "/access-management-1.0/access/oauth2/token";
    pub(crate) const REVOCATION: &str = "/access-management-1.0/access/oauth2/revoke";
    pub(crate) const END_SESSION: &str = "/access-management-1.0/access/oauth2/sessions/logout";
    pub(crate) const BACKCHANNEL: &str = "/vipps-login-ciba/api/backchannel/authentication";
    pub(crate) const USER_EXISTS: &str = "/vipps-login-ciba/api/v1/user-exists";
    pub(crate) const USERINFO: &str = "/vipps-userinfo-api/userinfo";
    pub(crate) const SHOP_QRS: &str = "/qr/v1/merchant-callback";
    pub(crate) const SHOP_QR: &str = "/qr/v1/merchant-callback/{id}";
    pub(crate) const EXCHANGE_QR: &str = "/qr/v1/exchange";
    pub(crate) const PLATFORM_TOKEN: &str = "/accesstoken/get";
    pub(crate) const WEBHOOKS: &str = "/webhooks/v1/webhooks";
    pub(crate) const WEBHOOK: &str = "/webhooks/v1/webhooks/{id}";
    pub(crate) const USERINFO_WITH_SLASH: &str = "/vipps-userinfo-api/userinfo/";
}

/// Vipps, the phone and the control API on one port.
pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .merge(vipps(&shared))
        .nest("/phone", phone_page::routes())
        .nest("/control", control::routes())
        .with_state(shared)
}

fn vipps(shared: &Shared) -> Router<Shared> {
    let observed = |endpoint: Endpoint, route: MethodRouter<Shared>| {
        route.layer(from_fn_with_state((shared.clone(), endpoint), journal::observe))
    };
    let discovery = observed(Endpoint::Discovery, get(discovery::document));
    let key_set = observed(Endpoint::Jwks, get(discovery::key_set));
    let start = observed(Endpoint::Backchannel, post(backchannel::start));
    let user_exists = observed(Endpoint::UserExists, post(backchannel::user_exists));
    let token = observed(Endpoint::Token, post(token::exchange));
    let revoke = observed(Endpoint::Revocation, post(token::revoke));
    let userinfo = observed(Endpoint::Userinfo, get(userinfo::read));
    let platform_token = observed(Endpoint::PlatformToken, post(platform::token));
    let webhooks = observed(Endpoint::Webhooks, get(webhooks::list).post(webhooks::register));
    let webhook = observed(Endpoint::Webhooks, delete(webhooks::delete));
    let shop_qr = observed(Endpoint::ShopQr, get(qr::get).put(qr::put).delete(qr::delete));
    let shop_qrs = observed(Endpoint::ShopQr, get(qr::list));
    let exchange_qr = observed(Endpoint::ExchangeQr, post(qr::exchange));
    Router::new()
        .route(paths::WEBHOOKS, webhooks)
        .route(paths::WEBHOOK, webhook)
        .route(paths::SHOP_QR, shop_qr)
        .route(paths::SHOP_QRS, shop_qrs)
        .route(paths::EXCHANGE_QR, exchange_qr)
        .route(paths::PLATFORM_TOKEN, platform_token)
        .route(paths::DISCOVERY, discovery)
        .route(paths::KEY_SET, key_set)
        .route(paths::BACKCHANNEL, start)
        .route(paths::USER_EXISTS, user_exists)
        .route(paths::TOKEN, token)
        .route(paths::REVOCATION, revoke)
        .route(paths::USERINFO, userinfo.clone())
        .route(paths::USERINFO_WITH_SLASH, userinfo)
}
