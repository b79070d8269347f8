//! The gateway's own landing page, over real sockets and a faithful provider.

use ciba_gateway::grpc::v1;
use ciba_gateway::simulator::{
    Alg, Audience, Behaviour, Edit, Endpoint, IdTokenShape, OnDeny, RedirectKnobs, RequestIdClaim,
};
use futures_util::future::join_all;
use reqwest::Response;
use reqwest::header::HeaderMap;
use tonic::transport::Endpoint as Address;
use url::Url;

use crate::support::client::{Client, at_the_box, at_the_till, landing_on, on_a_call, standing, with_code};
use crate::support::configuration::{Configuration, api_key, other_api_key};
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, Serve};
use crate::support::http;
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;

const PHONE: &str = "4741986357";

/// A shop's page of its own.
const OWN: &str = "https://shop.example/landing";

struct Story {
    vipps: Vipps,
    gateway: Gateway,
    desk: Client,
}

impl Story {
    async fn begin() -> Self {
        let vipps = Vipps::start().await;
        let own = format!("redirect_uris = [\"{OWN}\"]\nname = \"Nordlys <Kundeservice>\"");
        let configuration =
            Configuration::new(&vipps.issuer()).with_public_listener().with_tenant_line("nordlys", &own);
        let gateway = Gateway::ready(&configuration).await;
        let desk = client(&gateway.url(), api_key().expose()).await;
        Self { vipps, gateway, desk }
    }

    /// A behaviour of the phone's next logins.
    fn lands_so(&self, redirect: RedirectKnobs) {
        self.vipps.simulator.set_behaviour(PHONE, Behaviour { redirect, ..Behaviour::default() });
    }

    async fn starts(&self, name: &str) -> v1::Login {
        self.desk.start(landing_on("", at_the_box(name, &format!("+{PHONE}")))).await
    }

    /// The person approves; where the app sends the browser.
    fn approves(&self) -> Url {
        assert_eq!(self.vipps.simulator.approve(PHONE), 1);
        self.vipps.simulator.landing(PHONE).expect("the browser is sent somewhere")
    }

    fn exchanges(&self, grant: &str) -> usize {
        let requests = self.vipps.simulator.requests();
        let of_grant = |endpoint: &Endpoint| *endpoint == Endpoint::Token;
        requests
            .iter()
            .filter(|request| of_grant(&request.endpoint) && request.parameter("grant_type") == Some(grant))
            .count()
    }
}

const CIBA: &str = "urn:openid:params:grant-type:ciba";
const CIBA_REDIRECT: &str = "urn:vipps:params:grant-type:ciba-redirect";

async fn client(url: &str, key: &str) -> Client {
    let channel = Address::from_shared(url.to_owned()).expect("a URL").connect().await.expect("a gateway");
    Client::new(channel, Some(format!("Bearer {key}")))
}

async fn opens(url: &Url, language: &str) -> Response {
    let request = http::client().get(url.clone()).header("accept-language", language);
    request.send().await.expect("an answer")
}

async fn opened(url: &Url) -> (u16, String) {
    let answer = opens(url, "en").await;
    (answer.status().as_u16(), answer.text().await.expect("a page"))
}

fn is_bare(headers: &HeaderMap) {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(of("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    assert_eq!((of("referrer-policy"), of("cache-control"), of("set-cookie")), ("no-referrer", "no-store", ""));
    assert_eq!((of("x-content-type-options"), of("content-type")), ("nosniff", "text/html; charset=utf-8"));
}

#[tokio::test]
async fn a_phone_that_lands_is_done_and_its_login_approved() {
    let story = Story::begin().await;
    let login = story.starts("r-1").await;
    let landing = story.approves();
    let base = format!("http://{}/landing/nordlys?code=", story.gateway.public);
    assert!(landing.as_str().starts_with(&base), "{landing}");

    // Whoever only looks uses nothing up.
    let head = http::client().head(landing.clone()).send().await.expect("an answer");
    assert_eq!(head.status().as_u16(), 405);
    let answer = opens(&landing, "de, nb-NO;q=0.9, en;q=0.5").await;
    assert_eq!(answer.status().as_u16(), 200);
    is_bare(answer.headers());
    let page = answer.text().await.expect("a page");
    assert!(page.contains("<html lang=\"nb\">") && page.contains("Ferdig"), "{page}");
    assert!(page.contains("Nordlys &lt;Kundeservice&gt;"), "{page}");
    let code = landing.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    for secret in [code.as_str(), PHONE, "41986357", &login.login_id, "<script"] {
        assert!(!page.contains(secret), "{secret} in {page}");
    }
    let login = story.desk.wait_for_end(&login).await;
    assert_eq!(standing(&login), "approved");
    assert_eq!(login.identity.expect("an identity").phone_number, format!("+{PHONE}"));

    // A page that is loaded again has no second outcome.
    let (status, page) = opened(&landing).await;
    assert_eq!(status, 410);
    assert!(page.contains("Already used"), "{page}");
    assert_eq!((story.exchanges(CIBA), story.exchanges(CIBA_REDIRECT)), (0, 1), "never polled, exchanged once");
    let start = story.vipps.simulator.requests();
    let start = start.iter().find(|request| request.endpoint == Endpoint::Backchannel).expect("a start");
    assert_eq!(start.parameter("requested_flow"), Some("login_to_webpage"));
    assert_eq!(start.parameter("redirect_uri"), landing.as_str().split('?').next());
}

#[tokio::test]
async fn a_shops_own_page_hands_the_code_over() {
    let story = Story::begin().await;
    let login = story.desk.start(landing_on(OWN, at_the_till("r-1", &format!("+{PHONE}")))).await;
    let landing = story.approves();
    assert!(landing.as_str().starts_with("https://shop.example/landing?code="), "{landing}");
    let code = landing.query_pairs().next().expect("a code").1.into_owned();
    let done = story.desk.try_complete(with_code(&code)).await.expect("it is taken");
    assert_eq!((done.completed, done.login.map(|login| standing(&login))), (true, Some("approved".to_owned())));
    let login = story.desk.get(&login).await;
    assert_eq!(login.identity.expect("an identity").phone_number, format!("+{PHONE}"));
    let again = story.desk.try_complete(with_code(&code)).await.expect_err("used");
    assert_eq!(again.reason, "REDIRECT_CODE_REFUSED");
}

/// The code of the app is not what the page is given.
#[tokio::test]
async fn in_a_call_the_landing_does_not_replace_the_code_in_the_app() {
    let story = Story::begin().await;
    let desk = story.desk.clone().with_agent("ada");
    let login = desk.start(landing_on("", on_a_call("r-1", &format!("+{PHONE}")))).await;
    let code = story.vipps.code_on(PHONE);
    assert_eq!(opened(&story.approves()).await.0, 200);
    assert_eq!(desk.sees(&login).await, "awaiting_code");
    assert!(desk.confirm(&login, &code).await.0);
    assert_eq!(desk.sees(&login).await, "approved");
}

/// Every way in which the vendor's pages write such a token.
#[tokio::test]
async fn each_spelling_and_each_algorithm_names_the_login() {
    let story = Story::begin().await;
    let claims = [RequestIdClaim::SnakeCase, RequestIdClaim::CamelCase, RequestIdClaim::Urn];
    for (nth, request_id) in claims.into_iter().enumerate() {
        for (alg, audience) in [(Alg::Es256, Audience::String), (Alg::Rs256, Audience::Array)] {
            let id_token = IdTokenShape { request_id, alg, audience, ..IdTokenShape::es256() };
            story.lands_so(RedirectKnobs { id_token, ..RedirectKnobs::default() });
            let login = story.starts(&format!("r-{nth}-{alg:?}")).await;
            assert_eq!(opened(&story.approves()).await.0, 200, "{request_id:?} {alg:?}");
            assert_eq!(standing(&story.desk.wait_for_end(&login).await), "approved");
        }
    }
}

/// The documented hole: without that claim anybody's code would do.
#[tokio::test]
async fn a_token_that_names_no_login_of_ours_logs_nobody_in() {
    let story = Story::begin().await;
    let named = |request_id| IdTokenShape { request_id, ..IdTokenShape::es256() };
    let edited = |claims| IdTokenShape { claims, ..IdTokenShape::es256() };
    let cases = [
        ("none", named(RequestIdClaim::None)),
        ("foreign", edited(Edit::setting("authReqId", "not-ours"))),
        ("two", edited(Edit::setting("auth_req_id", "not-ours"))),
        ("null", edited(Edit::setting("authReqId", serde_json::Value::Null))),
        ("audience", edited(Edit::setting("aud", "another-client"))),
        ("algorithm", IdTokenShape { alg: Alg::None, ..IdTokenShape::es256() }),
        ("time", IdTokenShape { issued_offset_seconds: -4_200, expires_in_seconds: -600, ..IdTokenShape::es256() }),
    ];
    for (nth, (name, id_token)) in cases.into_iter().enumerate() {
        let (phone, redirect) = (format!("474198637{nth}"), RedirectKnobs { id_token, ..RedirectKnobs::default() });
        story.vipps.simulator.set_behaviour(&phone, Behaviour { redirect, ..Behaviour::default() });
        let start = landing_on("", at_the_box(&format!("r-{name}"), &format!("+{phone}")));
        let login = story.desk.start(start).await;
        assert_eq!(story.vipps.simulator.approve(&phone), 1);
        let (status, page) = opened(&story.vipps.simulator.landing(&phone).expect("it lands")).await;
        assert_eq!(status, 400, "{name}");
        assert!(page.contains("It did not work"), "{page}");
        assert_eq!(story.desk.sees(&login).await, "pending", "{name}");
        story.desk.cancel(&login).await;
    }
    let requests = story.vipps.simulator.requests();
    let count = |endpoint| requests.iter().filter(|request| request.endpoint == endpoint).count();
    assert_eq!((count(Endpoint::Userinfo), count(Endpoint::Revocation)), (0, 7), "revoked, and nobody looked at");
}

/// In production 30 s.
#[tokio::test]
async fn a_late_code_is_refused_and_the_login_runs_out() {
    let story = Story::begin().await;
    story.lands_so(RedirectKnobs { code_seconds: 30, ..RedirectKnobs::default() });
    let login = story.starts("r-1").await;
    let landing = story.approves();
    story.vipps.simulator.advance(std::time::Duration::from_secs(30));
    let (status, page) = opened(&landing).await;
    assert_eq!(status, 410, "{page}");
    assert_eq!(story.desk.sees(&login).await, "pending");
}

/// Both tenants have the same credential here: the page's tenant counts.
#[tokio::test]
async fn a_code_on_another_tenants_page_logs_nobody_in() {
    let story = Story::begin().await;
    let login = story.starts("r-1").await;
    let mut landing = story.approves();
    landing.set_path("/landing/other");
    let other = client(&story.gateway.url(), other_api_key().expose()).await;
    let (status, page) = opened(&landing).await;
    if other.try_list(v1::ListLoginsRequest::default()).await.is_ok() {
        assert_eq!(status, 400, "{page}");
    } else {
        assert_eq!(status, 404);
    }
    assert_eq!(story.desk.sees(&login).await, "pending");
    landing.set_path("/landing/nobody");
    assert_eq!(opened(&landing).await, (404, String::new()));
}

/// Anybody can open the address, so it ends nothing.
#[tokio::test]
async fn a_landing_without_a_code_ends_no_login() {
    let story = Story::begin().await;
    let login = story.starts("r-1").await;
    assert_eq!(story.vipps.simulator.deny(PHONE), 1);
    let landing = story.vipps.simulator.landing(PHONE).expect("it lands");
    assert!(landing.query().is_some_and(|query| query.contains("error=access_denied")), "{landing}");
    let answer = opens(&landing, "sv").await;
    assert_eq!(answer.status().as_u16(), 400);
    is_bare(answer.headers());
    assert!(answer.text().await.expect("a page").contains("Det gick inte"));
    for query in ["", "code=", "code=a&code=b", "code=a&error=b", &format!("code={}", "a".repeat(5000))] {
        let mut odd = landing.clone();
        odd.set_query(Some(query));
        assert_eq!(opened(&odd).await.0, 400, "{query}");
    }
    assert_eq!((story.desk.sees(&login).await.as_str(), story.exchanges(CIBA_REDIRECT)), ("pending", 0));

    story.desk.cancel(&login).await;
    story.lands_so(RedirectKnobs { on_deny: OnDeny::Nothing, ..RedirectKnobs::default() });
    story.starts("r-2").await;
    story.vipps.simulator.deny(PHONE);
    assert_eq!(story.vipps.simulator.landing(PHONE), None, "the app keeps it to itself");
}

#[tokio::test]
async fn made_up_codes_hardly_reach_the_provider() {
    let story = Story::begin().await;
    let page = format!("http://{}/landing/nordlys", story.gateway.public);
    let urls = (0..150).map(|seed| Url::parse_with_params(&page, [("code", format!("made-up-{seed}"))]));
    let urls: Vec<_> = urls.collect::<Result<_, _>>().expect("URLs");
    let mut busy = 0;
    for answer in join_all(urls.iter().map(|url| opens(url, "fi"))).await {
        if answer.status().as_u16() == 503 {
            assert_eq!(answer.headers()["retry-after"], "2");
            assert!(answer.text().await.expect("a page").contains("Hetkinen"));
            busy += 1;
        }
    }
    assert!(busy > 0);
    assert_eq!(story.exchanges(CIBA_REDIRECT) + busy, 150);
}

/// Its keys are replaced, and it dies, between start and landing.
#[tokio::test]
async fn another_process_lands_what_a_killed_one_has_started() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    let own = format!("redirect_uris = [\"{OWN}\"]");
    let configuration = Configuration::new(&vipps.issuer()).with_redis(&redis).with_tenant_line("nordlys", &own);
    let (first, second) = (Serve::ready(&configuration).await, Serve::ready(&configuration).await);
    let login = first.client().await.start(landing_on(OWN, at_the_till("r-1", &format!("+{PHONE}")))).await;
    first.process.signal("KILL");
    vipps.simulator.approve(PHONE);
    let landing = vipps.simulator.landing(PHONE).expect("it lands");
    let code = landing.query_pairs().next().expect("a code").1.into_owned();
    let desk = second.client().await;
    assert!(desk.try_complete(with_code(&code)).await.expect("it is taken").completed);
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    let requests = vipps.simulator.requests();
    let polls = requests.iter().filter(|request| request.parameter("grant_type") == Some(CIBA)).count();
    assert_eq!(polls, 0);
}

#[tokio::test]
async fn the_command_says_that_the_phone_lands() {
    let vipps = Vipps::start().await;
    let serve = Serve::ready(&Configuration::new(&vipps.issuer()).with_public_listener()).await;
    let number = format!("+{PHONE}");
    let mut command = serve.command(&["login", &number, "--channel", "tv-box", "--finish", "redirect"]);
    eventually("the phone shows it", async || (vipps.simulator.approve(PHONE) == 1).then_some(())).await;
    let landing = vipps.simulator.landing(PHONE).expect("it lands");
    assert_eq!(opened(&landing).await.0, 200);
    let ended = command.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("when the phone's browser lands"), "{}", ended.stdout);
}
