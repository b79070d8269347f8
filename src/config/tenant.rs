//! `[[tenants]]`: the companies that use the gateway.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;

use super::block_list::known;
use super::public::IS_PUBLIC;
use super::purpose::{NationalId, required_claims, stated_ground};
use super::section::{Section, Table};
use super::service::{CERTIFICATES_ASKED, seconds};
use super::tokens::{has_tokens, scope, tokens_name_agents};
use super::{Certificates, Client, FraudWebhook, OwnGuard, Profile, Provider, Tokens, Webhook};
use crate::identity::Claim;
use crate::language::Language;
use crate::logins::{Purpose, QuietHours};
use crate::phone::Country;
use crate::session::{PurposeId, RedirectUri, TenantId};

/// `[[tenants]]`: a company that uses the gateway.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Part of every store key.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// Where numbers without country code belong.
    pub default_country: Country,
    /// How long a login may take when the caller does not say; 60 to 600 s.
    pub default_lifetime: Duration,
    /// What is asked about the person when the caller does not say; never the
    /// national identity number.
    pub default_claims: BTreeSet<Claim>,
    /// What is asked at each login, and must come back; never the national identity
    /// number, and among the claims of every purpose.
    pub required_claims: BTreeSet<Claim>,
    /// What logins may be for; ids differ. Empty for that nobody says.
    pub purposes: Vec<Purpose>,
    /// The purpose of starts that name none; among `purposes`.
    pub default_purpose: Option<PurposeId>,
    /// By what right national identity numbers are asked for; `None` for that they
    /// are not. 10 to 200 characters.
    pub national_id_ground: Option<String>,
    /// What agents and screens are spoken to in when the start does not say.
    pub default_language: Language,
    /// Whether its call centres may have the agent read the code out, where comparing
    /// is all the person does.
    pub allow_read_out: bool,
    /// Why its agents may call people and ask them to identify themselves; `None`
    /// for that they may not. 10 to 200 characters.
    pub outbound_calls_because: Option<String>,
    /// When its agents call nobody.
    pub quiet_hours: Option<QuietHours>,
    /// Its own pages that logins may end on, as they are registered at the provider.
    pub redirect_uris: Vec<RedirectUri>,
    /// How much may be started in it, where that is not as for all.
    pub guard: OwnGuard,
    /// Its credential at the provider.
    pub provider: Provider,
    /// Where it hears of what looks like fraud; `None` where it does not want to.
    pub fraud_webhook: Option<FraudWebhook>,
    /// What the provider tells by itself; empty for nothing.
    pub webhooks: Vec<Webhook>,
    /// Who signs its clients' certificates, in the place of the service's; only
    /// where the service asks for certificates.
    pub client_authorities: Option<Certificates>,
    /// Its identity provider, whose tokens prove clients and agents.
    pub tokens: Option<Tokens>,
    /// Where its clients call from; empty for anywhere.
    pub networks: Vec<IpNet>,
    /// Its systems; ids differ.
    pub clients: Vec<Client>,
}

impl Table for Tenant {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let id: Option<TenantId> = section.required("id");
        if let Some(id) = &id {
            section.unique("id", "tenants", id.as_str());
            section.establish(known(id));
        }
        let name = section.optional("name");
        // No default: a Danish and a Norwegian number look the same without it.
        let default_country = section.required("default_country");
        let default_lifetime = section.within("default_lifetime", seconds(300), seconds(60)..=seconds(600));
        let default_claims = section.list("default_claims").unwrap_or_else(|| vec![Claim::Name, Claim::PhoneNumber]);
        let required_claims = required_claims(section);
        let national_id_ground = section.table::<NationalId>("national_id").map(|stated| stated.ground);
        if national_id_ground.is_some() {
            section.establish(stated_ground(section.path()));
        }
        let purposes: Vec<Purpose> =
            section.tables_if_any("purposes", "leave it out where nobody says what logins are for");
        let go_with_all =
            |required: &BTreeSet<Claim>| purposes.iter().all(|purpose| required.is_subset(&purpose.claims));
        let problem = "must be among the claims of every purpose";
        section.check("required_claims", Some(&required_claims), go_with_all, problem);
        let default_purpose = section.optional("default_purpose");
        let is_one = |id: &PurposeId| purposes.iter().any(|purpose| purpose.id == *id);
        section.check("default_purpose", default_purpose.as_ref(), is_one, "must be the id of one of the purposes");
        let default_language = section.or("default_language", Language::English);
        let allow_read_out = section.or("allow_read_out", false);
        let because = section.optional::<String>("outbound_calls_because");
        let is_a_reason = |text: &String| (10..=200).contains(&text.chars().count());
        section.check(
            "outbound_calls_because",
            because.as_ref(),
            is_a_reason,
            "must say in 10 to 200 characters why agents may call people and ask them to identify themselves",
        );
        let quiet_hours = section.table("quiet_hours");
        let redirect_uris = section.list("redirect_uris").unwrap_or_default();
        let guard = section.table_or_defaults("guard");
        let provider = section.required_table("provider", "it holds the credential at Vipps MobilePay Login");
        if provider.as_ref().is_some_and(|provider: &Provider| matches!(provider.profile, Profile::Generic { .. })) {
            let comes = |claims: &BTreeSet<Claim>| claims.iter().all(|claim| claim.standard_scope().is_some());
            let problem = "has a claim that only Vipps MobilePay Login has, and no provider with profile = \"generic\"";
            section.check("default_claims", Some(&default_claims.iter().copied().collect()), comes, problem);
            section.check("required_claims", Some(&required_claims), comes, problem);
            for purpose in &purposes {
                section.check("purposes", Some(&purpose.claims), comes, problem);
            }
        }
        let fraud_webhook = section.table("fraud_webhook");
        let webhooks: Vec<Webhook> = section.tables_if_any("webhooks", "leave it out where the provider tells nothing");
        if !webhooks.is_empty() && !section.is_established(IS_PUBLIC) {
            section.wrong("webhooks", "needs [public], without which the provider reaches nobody");
        }
        let has_own_authorities = section.has("client_ca_file");
        let client_authorities = section.authorities("client_ca_file");
        if has_own_authorities {
            section.establish(own_authorities(section.path()));
            if !section.is_established(CERTIFICATES_ASKED) {
                section.wrong("client_ca_file", ASK_FOR_CERTIFICATES);
            }
        }
        let tokens: Option<Tokens> = section.table("tokens");
        if let Some(tokens) = &tokens {
            section.establish(has_tokens(section.path()));
            if tokens.agent_claim.is_some() {
                section.establish(tokens_name_agents(section.path()));
            }
        }
        let networks = section.list_of_some("networks", "leave it out to let its clients call from anywhere");
        let clients: Vec<Client> = section.tables("clients", "without one nobody can ask for a login");
        if let Some(tokens) = &tokens {
            for name in clients.iter().flat_map(|client| &client.token_clients) {
                section.unique("tokens", &scope(tokens), name);
            }
        }
        let id = id?;
        Some(Self {
            name: name.unwrap_or_else(|| id.to_string()),
            id,
            default_country: default_country?,
            default_lifetime,
            default_claims: default_claims.into_iter().collect(),
            required_claims,
            purposes,
            default_purpose,
            national_id_ground,
            default_language,
            allow_read_out,
            outbound_calls_because: because,
            quiet_hours,
            redirect_uris,
            guard: guard?,
            provider: provider?,
            fraud_webhook,
            webhooks,
            client_authorities,
            tokens,
            networks: networks.unwrap_or_default(),
            clients,
        })
    }
}

pub(super) const ASK_FOR_CERTIFICATES: &str =
    "needs grpc.tls.client_ca_file, without which no client is asked for a certificate";

/// Established by a tenant whose clients' certificates come from its own authorities.
pub(super) fn own_authorities(tenant: &str) -> String {
    format!("{tenant} has authorities of its own")
}
