//! From `[tenants.provider]` to the providers of a running gateway.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config;
use crate::egress;
use crate::provider::generic::{self, Generic, HintForm};
use crate::provider::openid::{self, ClientAuthentication, InvalidSettings, SigningAlgorithm};
use crate::provider::vipps::{self, PartnerTokens, SystemHeaders, Vipps};
use crate::provider::{NewSecrets, Operated};
use crate::telemetry::Metrics;

/// The secrets of a configuration, for a provider that there is.
pub(super) fn new_secrets(provider: &config::Provider) -> NewSecrets<'_> {
    NewSecrets {
        client_secret: &provider.client_secret,
        client_secret_next: provider.client_secret_next.as_ref(),
        subscription_key: provider.subscription_key.as_ref(),
    }
}

/// The provider of one tenant; not asked anything yet.
pub(crate) fn provider(
    tenant: &config::Tenant,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Arc<dyn Operated>, InvalidSettings> {
    provider_sharing(&PartnerTokens::default(), tenant, clock, metrics)
}

/// The same, with a partner's token that it shares.
pub(super) fn provider_sharing(
    tokens: &PartnerTokens,
    tenant: &config::Tenant,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Arc<dyn Operated>, InvalidSettings> {
    let provider = &tenant.provider;
    let (openid, clock, metrics) = (openid_settings(provider), clock.as_fn(), Arc::clone(metrics));
    match provider.profile {
        config::Profile::Vipps { keys } => {
            let settings = vipps_settings(provider, keys, openid);
            Ok(Arc::new(Vipps::sharing(tokens, &settings, clock, metrics)?))
        }
        config::Profile::Generic { login_hint } => {
            let login_hint = match login_hint {
                config::LoginHint::Digits => HintForm::Digits,
                config::LoginHint::Plus => HintForm::Plus,
                config::LoginHint::Urn => HintForm::Urn,
                config::LoginHint::Tel => HintForm::Tel,
            };
            Ok(Arc::new(Generic::new(&generic::Settings { openid, login_hint }, clock, metrics)?))
        }
    }
}

fn vipps_settings(
    provider: &config::Provider,
    keys: config::ProviderKeys,
    openid: openid::Settings,
) -> vipps::Settings {
    vipps::Settings {
        openid,
        keys: match keys {
            config::ProviderKeys::SalesUnit => vipps::Keys::SalesUnit,
            config::ProviderKeys::Partner => vipps::Keys::Partner,
        },
        subscription_key: provider.subscription_key.clone(),
        merchant_serial_number: provider.merchant_serial_number.clone(),
        system: SystemHeaders {
            name: Some(provider.systems.name.clone()),
            version: Some(provider.systems.version.clone()),
            plugin_name: provider.systems.plugin_name.clone(),
            plugin_version: provider.systems.plugin_version.clone(),
        },
    }
}

fn openid_settings(provider: &config::Provider) -> openid::Settings {
    openid::Settings {
        issuer: provider.issuer.as_str().to_owned(),
        client_id: provider.client_id.clone(),
        client_secret: provider.client_secret.clone(),
        client_secret_next: provider.client_secret_next.clone(),
        authentication: match provider.authentication {
            config::ClientAuthentication::Basic => ClientAuthentication::SecretBasic,
            config::ClientAuthentication::Post => ClientAuthentication::SecretPost,
        },
        signing_algorithms: provider
            .signing_algorithms
            .iter()
            .map(|algorithm| match algorithm {
                config::SigningAlgorithm::Rs256 => SigningAlgorithm::Rs256,
                config::SigningAlgorithm::Es256 => SigningAlgorithm::Es256,
            })
            .collect(),
        request_timeout: provider.request_timeout,
        poll_timeout: provider.poll_timeout,
        additional_hosts: provider.additional_hosts.iter().cloned().collect(),
        allow_insecure_hosts: provider.allow_insecure_hosts,
        extra_root_ca_pem: provider.ca_certificates.as_ref().map(|certificates| certificates.pem().to_owned()),
        user_agent: egress::USER_AGENT.to_owned(),
    }
}
