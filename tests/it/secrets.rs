//! Logins of every kind with all logging on; afterwards every trace of them is
//! searched for what may not be readable in any of it.
//!
//! Covers conformance G10 and the rules SR20 (access tokens are nowhere in the
//! clear), SR41 (neither are national identity numbers), SR28 (no number in Redis), SR38 (numbers print masked) and SR42
//! (metrics carry no session content).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciba_gateway::grpc::v1::start_login_request::Person;
use ciba_gateway::grpc::v1::{Claim, Login, StartLoginRequest};
use ciba_gateway::simulator::Settings;
use serde_json::{Value, json};

use crate::support::caller::{Caller, call, till};
use crate::support::client::landing_on;
use crate::support::configuration::{CLIENT_SECRET, Configuration, api_key, store_keys};
use crate::support::eventually::eventually;
use crate::support::gateway::{Serve, local};
use crate::support::http;
use crate::support::recorder::Recorder;
use crate::support::redis_dump::dump;
use crate::support::redis_server::RedisServer;
use crate::support::secrets::Secrets;
use crate::support::simulators::{Vipps, quick};

const APPROVER: &str = "4741986357";
const DENIER: &str = "4741986358";
const READER: &str = "4741986359";
const IMPOSTOR: &str = "4741986361";
const CANCELLED: &str = "4741986362";
const ERASED: &str = "4741986363";
const LANDED: &str = "4741986364";
/// Numbers whose logins fail by themselves, and what the provider does to them.
fn troubled() -> Vec<(&'static str, Value)> {
    let error = |word: &str| json!({ "error": { "error": word, "description": "about +4741986371" } });
    let approve = json!({ "approve": { "after_pendings": 0 } });
    vec![
        ("4741986371", json!({ "start": { "fault": error("unknown_user_id") } })),
        ("4741986372", json!({ "start": { "fault": "drop" } })),
        ("4741986373", json!({ "start": { "fault": { "error": { "status": 429 } } } })),
        ("4741986374", json!({ "token": { "faults": [error("expired_token")] } })),
        ("4741986375", json!({ "token": { "faults": [error("unheard_of")] } })),
        ("4741986376", json!({ "outcome": approve, "id_token": { "signature": "broken" } })),
        (
            "4741986377",
            json!({ "outcome": approve, "userinfo": { "claims": { "set": { "phone_number": "4741986378" } } } }),
        ),
        ("4741986379", json!({ "outcome": approve, "userinfo": { "claims": { "remove": ["sub"] } } })),
        ("4741986381", json!({ "outcome": approve, "token": { "answer": { "remove": ["access_token"] } } })),
        ("4741986382", json!({ "outcome": approve, "userinfo": { "faults": [{ "error": { "status": 500 } }] } })),
    ]
}

const WRONG_CODES: [&str; 3] = ["ZZZZ7", "ZZZZ9", "ZZZZ6"];
const STRANGERS_KEY: &str = "cgk_c3RyYW5nZXIncyBrZXkgc3RyYW5nZXIncyBrZXkhISE";

/// Everything that the stories leave behind.
struct Traces {
    secrets: Secrets,
    printed: String,
    metrics: String,
    redis: String,
}

/// With everything about a person that is a secret.
fn everything(start: StartLoginRequest) -> StartLoginRequest {
    let claims =
        [Claim::Name, Claim::PhoneNumber, Claim::Email, Claim::Address, Claim::Birthdate, Claim::Gender, Claim::Nin];
    StartLoginRequest { claims: claims.map(i32::from).to_vec(), ..start }
}

struct Stage {
    vipps: Vipps,
    wire: Recorder,
    redis: RedisServer,
    serve: Serve,
    caller: Caller,
    secrets: Secrets,
    dumps: String,
}

impl Stage {
    async fn set_up(format: &str) -> Self {
        let (redis, inside, outside) = (RedisServer::start().await, local().await, local().await);
        let address = |listener: &tokio::net::TcpListener| format!("http://{}", listener.local_addr().expect("bound"));
        let (inner, outer) = (address(&inside), address(&outside));
        let settings = Settings { public_url: Some(outer.parse().expect("an address")), ..quick() };
        let vipps = Vipps::with(inside, settings).await;
        let wire = Recorder::start(outside, inner);
        let log = format!("filter = \"trace\"\nformat = \"{format}\"");
        let configuration = Configuration { log, ..Configuration::new(&vipps.issuer()).with_redis(&redis) };
        let configuration = configuration.that_asks_for_national_ids().with_public_listener();
        let serve = Serve::ready(&configuration).await;
        let caller = serve.caller().with_agent("kari");
        Self { vipps, wire, redis, serve, caller, secrets: Secrets::default(), dumps: String::new() }
    }

    async fn start(&mut self, start: StartLoginRequest) -> Option<Login> {
        self.secrets.add("request_id", &*start.request_id);
        if let Some(Person::PhoneNumber(number)) = &start.person {
            self.secrets.add_number(number.trim_start_matches('+'));
        }
        self.caller.start(everything(start)).await.ok()
    }

    async fn look_into_redis(&mut self) {
        self.dumps += &dump(&mut self.redis.commands().await).await;
    }

    /// Every kind of login there is, each to its end.
    async fn play(&mut self) {
        let mut logins = Vec::new();
        for number in [APPROVER, DENIER, CANCELLED, ERASED] {
            logins.push(self.start(till(&format!("+{number}"))).await.expect("a login"));
        }
        for number in [READER, IMPOSTOR] {
            logins.push(self.start(call(&format!("+{number}"))).await.expect("a login"));
        }
        for (number, behaviour) in troubled() {
            let behaviour = serde_json::from_value(behaviour).expect("a behaviour");
            self.vipps.simulator.set_behaviour(number, behaviour);
            logins.extend(self.start(till(&format!("+{number}"))).await);
        }
        self.look_into_redis().await;
        self.answer(&logins).await;
        for login in &logins {
            self.caller.end_of(&login.login_id).await;
        }
        self.look_into_redis().await;
        self.land().await;
        self.caller.erase(&logins[3].login_id).await;
        self.strangers().await;
        self.look_into_redis().await;
    }

    /// One that ends on the gateway's page, and codes that are not its.
    async fn land(&mut self) {
        let login = self.start(landing_on("", till(&format!("+{LANDED}")))).await.expect("a login");
        self.look_into_redis().await;
        self.vipps.simulator.approve(LANDED);
        let landing = self.vipps.simulator.landing(LANDED).expect("the phone lands");
        let mut made_up = landing.clone();
        made_up.set_query(Some("code=made-up-by-somebody&error_description=about-4741986364"));
        self.secrets.add("redirect code", "made-up-by-somebody");
        for (_, code) in landing.query_pairs() {
            self.secrets.add("redirect code", code);
        }
        for (page, status) in [(&made_up, 410), (&landing, 200), (&landing, 410)] {
            assert_eq!(http::get(page.as_str()).await.map(|(status, _)| status), Some(status));
        }
        self.caller.end_of(&login.login_id).await;
    }

    async fn answer(&mut self, logins: &[Login]) {
        let [_, _, cancelled, _, reader, impostor, ..] = logins else { panic!("six logins at least") };
        let code = self.vipps.code_on(READER);
        for wrong in WRONG_CODES {
            self.secrets.add("wrong code", wrong);
            self.caller.confirm(&impostor.login_id, wrong).await;
        }
        self.caller.confirm(&reader.login_id, WRONG_CODES[0]).await;
        for number in [APPROVER, READER, ERASED] {
            self.vipps.simulator.approve(number);
        }
        self.vipps.simulator.deny(DENIER);
        self.caller.cancel(&cancelled.login_id).await;
        // Approved, and the identity is withheld: it must be in Redis, sealed.
        let withheld = "the code is awaited";
        eventually(withheld, async || {
            let login = self.caller.get(&reader.login_id).await.ok()?;
            (login.state().as_str_name() == "LOGIN_STATE_AWAITING_CODE").then_some(())
        })
        .await;
        self.look_into_redis().await;
        assert!(self.caller.confirm(&reader.login_id, &code).await.matched);
    }
}

impl Stage {
    /// Calls that are refused before there is a login.
    async fn strangers(&mut self) {
        self.secrets.add("a stranger's key", STRANGERS_KEY);
        let refused = Caller::new(&self.serve.url(), STRANGERS_KEY).start(till("+4741986391")).await;
        assert!(refused.is_err());
        self.secrets.add_number("4741986391");
        assert!(self.start(till("+474198639")).await.is_none(), "a number that is too short");
        assert!(self.start(till(&format!("+{APPROVER}1"))).await.is_none(), "a number that is too long");
        // Guarded: the number rang too often.
        let mut rings = 0;
        while let Some(login) = self.start(till("+4741986392")).await {
            self.caller.cancel(&login.login_id).await;
            rings += 1;
        }
        assert_eq!(rings, 3);
    }

    /// Stops the gateway and gathers what it left.
    async fn gather(mut self) -> Traces {
        let (_, metrics) = http::get(&format!("http://{}/metrics", self.serve.http)).await.expect("metrics");
        self.serve.process.signal("TERM");
        let ended = self.serve.process.ended().await;
        assert_eq!(ended.code, Some(0));
        self.add_what_travelled();
        let printed = format!("{}\n{}", ended.stdout, ended.stderr);
        Traces { secrets: self.secrets, printed, metrics, redis: self.dumps }
    }

    /// What the gateway sent to the provider and what came back.
    fn add_what_travelled(&mut self) {
        let Self { secrets, wire, vipps, .. } = self;
        secrets.add("API key", api_key().expose());
        secrets.add("client secret", CLIENT_SECRET);
        store_keys().into_iter().for_each(|key| secrets.add("store key", key));
        secrets.add("client secret, encoded", BASE64_STANDARD.encode(format!("demo-client:{CLIENT_SECRET}")));
        for request in vipps.simulator.requests() {
            if let Some(code) = request.parameter("binding_message") {
                secrets.add("code", code);
            }
        }
        for (what, name) in [("auth_req_id", "auth_req_id"), ("access token", "access_token"), ("id token", "id_token")]
        {
            for value in wire.answered(name) {
                let text = value.as_str().expect("a text");
                secrets.add(what, text);
                if name == "id_token" {
                    text.split('.').for_each(|part| secrets.add("id token's part", part));
                }
            }
        }
        for answer in wire.answers_with("birthdate") {
            secrets.add_texts("userinfo", &answer);
        }
        secrets.add("sub", vipps.simulator.subject("demo-client", APPROVER).expect("a subject"));
    }
}

async fn traces(format: &str) -> Traces {
    let mut stage = Stage::set_up(format).await;
    stage.play().await;
    stage.gather().await
}

fn assert_unreadable(traces: &Traces) {
    let Traces { secrets, printed, metrics, redis } = traces;
    // The search is worth something: there is much to find and much to find it in.
    for (what, least) in [
        ("number", 18),
        ("request_id", 18),
        ("auth_req_id", 14),
        ("code", 14),
        ("redirect code", 2),
        ("wrong code", 3),
        ("access token", 6),
        ("id token's part", 18),
        ("userinfo.sub", 4),
        ("userinfo.name", 4),
        ("userinfo.nin", 4),
        ("userinfo.email", 4),
        ("userinfo.address.formatted", 4),
    ] {
        assert!(secrets.count(what) >= least, "only {} of {what}", secrets.count(what));
    }
    for (place, text, landmark) in [
        ("the log", printed, "DEBUG"),
        ("the log", printed, "login ended"),
        ("the metrics", metrics, "approved"),
        ("Redis", redis, "cg1:{nordlys}:identity:"),
    ] {
        assert!(text.contains(landmark), "{place} has nothing of {landmark:?}:\n{text}");
        let readable = secrets.readable_in(text);
        assert!(readable.is_empty(), "{place} shows:\n{}", readable.join("\n"));
    }
}

/// SR20, SR28, SR42.
#[tokio::test]
async fn nothing_secret_is_readable_beside_a_log_of_text() {
    assert_unreadable(&traces("text").await);
}

/// SR20, SR42.
#[tokio::test]
async fn nothing_secret_is_readable_beside_a_log_of_json() {
    assert_unreadable(&traces("json").await);
}
