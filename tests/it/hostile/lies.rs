//! The lies, by what they are about.

use serde_json::{Value, json};

use super::bodies::{nonsense, statuses};
use super::raw::{RawServer, Script};
use crate::support::lying_provider::{
    ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, DISCOVERY, JWKS, LyingProvider, Reply, START, SUBJECT, TOKEN, USERINFO, now,
};
use crate::support::signer::Signer;

/// Among the lies, so that the harness can fail.
pub(super) const TRUE_APPROVALS: u32 = 3;
pub(super) const TRUE_DENIALS: u32 = 2;

/// What a lie is told with, made when the provider is there.
type Made<T> = (&'static str, fn(&LyingProvider) -> T);

type Tell = Box<dyn Fn(&LyingProvider) + Send + Sync>;

/// What a lie is about, and so how a login may end.
#[derive(Clone, Copy, Debug)]
enum About {
    Discovery,
    Start,
    Poll,
    Keys,
    IdToken,
    Userinfo,
    TrueApproval,
    TrueDenial,
}

/// How it is told.
enum How {
    /// By these words.
    Tell(Tell),
    /// By a server that need not speak HTTP, in the place of this endpoint.
    Raw(&'static str, Script),
    /// By sending the asker elsewhere from this endpoint, with this status.
    Redirect(&'static str, u16),
    /// By naming another server as this endpoint, which then says nothing.
    Elsewhere(&'static str),
}

/// One switch.
pub(super) struct Lie {
    pub(super) name: String,
    about: About,
    how: How,
}

/// What must stay up while a lie is told.
pub(super) struct Told {
    _raw: Option<RawServer>,
    trap: Option<RawServer>,
}

impl Told {
    /// How often the one was called who must not be.
    pub(super) fn trapped(&self) -> usize {
        self.trap.as_ref().map_or(0, RawServer::calls)
    }
}

impl Lie {
    fn new(about: About, name: impl Into<String>, tell: impl Fn(&LyingProvider) + Send + Sync + 'static) -> Self {
        Self { name: format!("{about:?}: {}", name.into()), about, how: How::Tell(Box::new(tell)) }
    }

    fn how(about: About, name: &str, how: How) -> Self {
        Self { name: format!("{about:?}: {name}"), about, how }
    }

    pub(super) async fn told_by(&self, provider: &LyingProvider) -> Told {
        let trap = RawServer::start(Script::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")).await;
        match self.how {
            How::Tell(ref tell) => {
                tell(provider);
                Told { _raw: None, trap: None }
            }
            How::Raw(member, script) => {
                let raw = RawServer::start(script).await;
                if member == "userinfo_endpoint" || member == "jwks_uri" {
                    approve(provider);
                }
                provider.discover(member, json!(raw.url));
                Told { _raw: Some(raw), trap: None }
            }
            How::Redirect(path, status) => {
                if path == USERINFO || path == JWKS {
                    approve(provider);
                }
                provider.tell(path, [Reply::text(status, "").with("location", &trap.url)]);
                Told { _raw: None, trap: Some(trap) }
            }
            How::Elsewhere(url) => {
                provider.discover("token_endpoint", json!(url));
                Told { _raw: None, trap: None }
            }
        }
    }

    /// How long a login lasts, in seconds: a minute where nothing may end it, more
    /// where a machine that has much to do must have the time to.
    pub(super) const fn lifetime(&self) -> i64 {
        match self.about {
            About::Discovery | About::Start | About::Poll => 60,
            About::Keys | About::IdToken | About::Userinfo | About::TrueApproval | About::TrueDenial => 120,
        }
    }

    /// Whether a login may end like that in spite of it.
    pub(super) fn may_end(&self, end: &str) -> bool {
        let allowed: &[&str] = match self.about {
            About::TrueApproval => &["approved"],
            About::TrueDenial => &["denied"],
            About::Discovery => &["refused with PROVIDER_UNAVAILABLE"],
            About::Start => &[
                "start_unknown",
                "expired",
                "person_unknown",
                "app_too_old",
                "request_refused",
                "scope_refused",
                "not_enabled",
                "policy_refused",
                "provider_error",
                "refused with PROVIDER_BUSY",
                "refused with PROVIDER_CREDENTIALS_REFUSED",
                "refused with PROVIDER_UNAVAILABLE",
            ],
            About::Poll => &[
                "expired",
                "person_unknown",
                "app_too_old",
                "request_refused",
                "scope_refused",
                "not_enabled",
                "provider_error",
                "provider_unavailable",
                "result_lost",
                "id_token_invalid",
            ],
            About::Keys => &["id_token_invalid", "provider_unavailable", "refused with PROVIDER_UNAVAILABLE"],
            About::IdToken => &["id_token_invalid"],
            About::Userinfo => &["userinfo_invalid", "phone_mismatch", "provider_unavailable"],
        };
        allowed.contains(&end)
    }
}

/// The exchange gives this ID token.
fn exchange(provider: &LyingProvider, id_token: &str) {
    let body = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300, "id_token": id_token });
    provider.tell(TOKEN, [Reply::json(200, &body)]);
}

/// An honest exchange.
fn approve(provider: &LyingProvider) {
    exchange(provider, &provider.key().sign(&provider.claims(now())));
}

fn with(mut value: Value, member: &str, content: Value) -> Value {
    value[member] = content;
    value
}

/// Every one, the truth among them.
pub(super) fn all() -> Vec<Lie> {
    [truth(), discovery(), starts(), polls(), keys(), id_tokens(), userinfo(), lines()].into_iter().flatten().collect()
}

fn truth() -> Vec<Lie> {
    vec![
        Lie::new(About::TrueApproval, "at once", approve),
        Lie::new(About::TrueApproval, "RS256", |provider| {
            let rsa = Signer::rs256("public:rsa");
            provider.publish(&[rsa.jwk(), provider.key().jwk()]);
            exchange(provider, &rsa.sign(&provider.claims(now())));
        }),
        Lie::new(About::TrueApproval, "after two polls and a slow_down", |provider| {
            let id_token = provider.key().sign(&provider.claims(now()));
            let body = json!({ "access_token": ACCESS_TOKEN, "token_type": "bearer", "id_token": id_token });
            let pending = Reply::error(400, "authorization_pending");
            provider.tell(TOKEN, [pending, Reply::error(400, "slow_down"), Reply::json(200, &body)]);
        }),
        Lie::new(About::TrueDenial, "as documented", |provider| {
            provider.tell(TOKEN, [Reply::error(400, "access_denied")]);
        }),
        Lie::new(About::TrueDenial, "with 403", |provider| {
            provider.tell(TOKEN, [Reply::error(403, "access_denied")]);
        }),
    ]
}

fn discovery() -> Vec<Lie> {
    let about = About::Discovery;
    let mut lies: Vec<_> = nonsense()
        .into_iter()
        .map(|(name, reply)| Lie::new(about, name, move |provider| provider.tell(DISCOVERY, [reply.clone()])))
        .collect();
    lies.extend(statuses().into_iter().map(|reply| {
        Lie::new(about, format!("status {}", reply.status()), move |provider| provider.tell(DISCOVERY, [reply.clone()]))
    }));
    let members = [
        ("issuer", json!("https://evil.example/")),
        ("issuer", json!(null)),
        ("issuer", json!(5)),
        ("token_endpoint", json!("https://evil.example/token")),
        ("token_endpoint", json!("http://169.254.169.254/latest/meta-data")),
        ("token_endpoint", json!("file:///etc/passwd")),
        ("token_endpoint", json!("gopher://127.0.0.1/")),
        ("token_endpoint", json!("")),
        ("token_endpoint", json!(["x"])),
        ("token_endpoint", json!(null)),
        ("userinfo_endpoint", json!("https://user:password@evil.example/")),
        ("userinfo_endpoint", json!(null)),
        ("jwks_uri", json!("https://evil.example/jwks")),
        ("jwks_uri", json!(null)),
        ("backchannel_authentication_endpoint", json!("https://evil.example/start")),
        ("backchannel_authentication_endpoint", json!(null)),
        ("revocation_endpoint", json!("https://evil.example/revoke")),
    ];
    lies.extend(members.into_iter().map(|(member, content)| {
        Lie::new(about, format!("{member} is {content}"), move |provider| provider.discover(member, content.clone()))
    }));
    lies
}

fn starts() -> Vec<Lie> {
    let about = About::Start;
    let mut lies: Vec<_> = nonsense()
        .into_iter()
        .map(|(name, reply)| Lie::new(about, name, move |provider| provider.tell(START, [reply.clone()])))
        .collect();
    lies.extend(statuses().into_iter().map(|reply| {
        Lie::new(about, format!("status {}", reply.status()), move |provider| provider.tell(START, [reply.clone()]))
    }));
    let honest = || json!({ "auth_req_id": "a-1", "expires_in": 60, "interval": 1 });
    let edits = [
        ("auth_req_id", json!("")),
        ("auth_req_id", json!("a\r\nx-evil: 1")),
        ("auth_req_id", json!("a b")),
        ("auth_req_id", json!("æ")),
        ("auth_req_id", json!("a".repeat(5000))),
        ("auth_req_id", json!(["a-1"])),
        ("auth_req_id", json!(null)),
        ("expires_in", json!(0)),
        ("expires_in", json!(-1)),
        ("expires_in", json!(1e308)),
        ("expires_in", json!("soon")),
        ("expires_in", json!(u64::MAX)),
        ("expires_in", json!(1)),
        ("interval", json!(0)),
        ("interval", json!(-5)),
        ("interval", json!(1e308)),
        ("interval", json!(0.001)),
        ("interval", json!("often")),
        ("interval", json!(u64::MAX)),
        ("interval", json!(300)),
    ];
    lies.extend(edits.into_iter().map(|(member, content)| {
        let shown: String = content.to_string().chars().take(24).collect();
        let body = with(honest(), member, content);
        Lie::new(about, format!("{member} is {shown}"), move |provider| {
            provider.tell(START, [Reply::json(200, &body)]);
        })
    }));
    let twice = r#"{"auth_req_id":"a-1","auth_req_id":"b-1","expires_in":60,"interval":1}"#;
    lies.push(Lie::new(about, "two handles", move |provider| provider.tell(START, [Reply::text(200, twice)])));
    for status in [400, 401, 403, 429] {
        for (name, body) in errors() {
            lies.push(Lie::new(about, format!("{status} {name}"), move |provider| {
                provider.tell(START, [Reply::json(status, &body)]);
            }));
        }
        let tokens = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": "x" });
        lies.push(Lie::new(about, format!("{status} with tokens"), move |provider| {
            provider.tell(START, [Reply::json(status, &tokens)]);
        }));
    }
    for retry_after in ["-1", "0", "1e9", "99999999999999999999", "Thu, 01 Jan 1970 00:00:00 GMT", "tomorrow", "\u{b2}"]
    {
        lies.push(Lie::new(about, format!("Retry-After {retry_after}"), move |provider| {
            provider.tell(START, [Reply::text(429, "").with("retry-after", retry_after)]);
        }));
    }
    lies
}

/// Error bodies that mean nothing, or not what they seem to.
fn errors() -> Vec<(&'static str, Value)> {
    vec![
        ("denied in other words", json!({ "error": "user_denied" })),
        ("denied in capitals", json!({ "error": "ACCESS_DENIED" })),
        ("denied with a space", json!({ "error": "access_denied " })),
        ("denied in a list", json!({ "error": ["access_denied"] })),
        ("denied in an object", json!({ "error": { "code": "access_denied" } })),
        ("denied in the description", json!({ "error_description": "access_denied" })),
        ("denied with zero width", json!({ "error": "access\u{200b}_denied" })),
        ("an error of 60 KiB", json!({ "error": "x".repeat(60_000) })),
        ("an error that is a number", json!({ "error": 7 })),
        ("approved as an error", json!({ "error": "approved" })),
    ]
}

fn polls() -> Vec<Lie> {
    let about = About::Poll;
    let mut lies: Vec<_> = nonsense()
        .into_iter()
        .map(|(name, reply)| Lie::new(about, name, move |provider| provider.tell(TOKEN, [reply.clone()])))
        .collect();
    lies.extend(statuses().into_iter().map(|reply| {
        Lie::new(about, format!("status {}", reply.status()), move |provider| provider.tell(TOKEN, [reply.clone()]))
    }));
    for status in [400, 401, 403, 429, 500] {
        for (name, body) in errors() {
            lies.push(Lie::new(about, format!("{status} {name}"), move |provider| {
                provider.tell(TOKEN, [Reply::json(status, &body)]);
            }));
        }
    }
    lies.push(Lie::new(about, "401 access_denied", |provider| {
        provider.tell(TOKEN, [Reply::error(401, "access_denied")]);
    }));
    lies.push(Lie::new(about, "200 access_denied", |provider| {
        provider.tell(TOKEN, [Reply::error(200, "access_denied")]);
    }));
    lies.push(Lie::new(about, "slow_down for ever", |provider| {
        provider.tell(TOKEN, [Reply::error(400, "slow_down")]);
    }));
    lies.push(Lie::new(about, "400 with tokens", |provider| {
        let id_token = provider.key().sign(&provider.claims(now()));
        let body = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": id_token });
        provider.tell(TOKEN, [Reply::json(400, &body)]);
    }));
    let edits = [
        ("access_token", json!("")),
        ("access_token", json!("a\r\nx-evil: 1")),
        ("access_token", json!("a".repeat(20_000))),
        ("access_token", json!(["a"])),
        ("access_token", json!(null)),
        ("token_type", json!("mac")),
        ("token_type", json!("")),
        ("token_type", json!(["Bearer"])),
        ("token_type", json!(null)),
        ("id_token", json!(null)),
        ("id_token", json!("")),
        ("id_token", json!("a.b")),
        ("id_token", json!("a.b.c.d.e")),
        ("id_token", json!("…")),
        ("id_token", json!({ "sub": SUBJECT })),
        ("id_token", json!("x.".repeat(20_000))),
    ];
    lies.extend(edits.into_iter().map(|(member, content)| {
        let shown: String = content.to_string().chars().take(24).collect();
        Lie::new(about, format!("{member} is {shown}"), move |provider| {
            let id_token = provider.key().sign(&provider.claims(now()));
            let body = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": id_token });
            provider.tell(TOKEN, [Reply::json(200, &with(body, member, content.clone()))]);
        })
    }));
    lies
}

fn keys() -> Vec<Lie> {
    let about = About::Keys;
    let mut lies: Vec<_> = nonsense()
        .into_iter()
        .map(|(name, reply)| {
            Lie::new(about, name, move |provider| {
                approve(provider);
                provider.tell(JWKS, [reply.clone()]);
            })
        })
        .collect();
    lies.extend(statuses().into_iter().map(|reply| {
        Lie::new(about, format!("status {}", reply.status()), move |provider| {
            approve(provider);
            provider.tell(JWKS, [reply.clone()]);
        })
    }));
    let key_sets: [Made<Vec<Value>>; 8] = [
        ("no key", |_| vec![]),
        ("another key of the same name", |provider| vec![Signer::es256(&provider.key().kid).jwk()]),
        ("the key under another name", |provider| vec![with(provider.key().jwk(), "kid", json!("public:other"))]),
        ("10 000 other keys", |_| {
            let jwk = Signer::es256("public:many").jwk();
            (0..10_000).map(|nth| with(jwk.clone(), "kid", json!(format!("k-{nth}")))).collect()
        }),
        ("a secret as the key", |provider| {
            vec![json!({ "kty": "oct", "kid": provider.key().kid, "k": "c2VjcmV0", "alg": "HS256" })]
        }),
        ("the key for encryption", |provider| vec![with(provider.key().jwk(), "use", json!("enc"))]),
        ("a point that is on no curve", |provider| vec![with(provider.key().jwk(), "x", json!("AAAA"))]),
        ("keys that are no objects", |_| vec![json!(1), json!("key"), json!(null), json!([])]),
    ];
    lies.extend(key_sets.into_iter().map(|(name, made)| {
        Lie::new(about, name, move |provider| {
            approve(provider);
            provider.publish(&made(provider));
        })
    }));
    lies
}

fn id_tokens() -> Vec<Lie> {
    let about = About::IdToken;
    let now_s = now().as_secs();
    let edits = [
        ("iss", json!("https://evil.example/")),
        ("iss", json!(null)),
        ("iss", json!(["x"])),
        ("aud", json!("other")),
        ("aud", json!([CLIENT_ID, "other"])),
        ("aud", json!([])),
        ("aud", json!(null)),
        ("azp", json!("other")),
        ("exp", json!(now_s - 301)),
        ("exp", json!(0)),
        ("exp", json!("later")),
        ("exp", json!(null)),
        ("iat", json!(now_s - 7 * 86_400)),
        ("iat", json!(now_s + 600)),
        ("iat", json!(null)),
        ("iat", json!("now")),
        ("sub", json!("")),
        ("sub", json!(null)),
        ("sub", json!([SUBJECT])),
        ("sub", json!("x".repeat(300))),
        ("at_hash", json!("x")),
        ("at_hash", json!(5)),
    ];
    let mut lies: Vec<_> = edits
        .into_iter()
        .map(|(claim, content)| {
            let shown: String = content.to_string().chars().take(24).collect();
            Lie::new(about, format!("{claim} is {shown}"), move |provider| {
                let claims = with(provider.claims(now()), claim, content.clone());
                exchange(provider, &provider.key().sign(&claims));
            })
        })
        .collect();
    let forged: [Made<String>; 11] = [
        ("nobody signed it", |provider| unsigned(provider, "none")),
        ("nobody signed it, in capitals", |provider| unsigned(provider, "NONE")),
        ("signed with the client's secret", |provider| {
            provider.key().hs256(CLIENT_SECRET.as_bytes(), &provider.claims(now()))
        }),
        ("signed with the public key as a secret", |provider| {
            provider.key().hs256(provider.key().jwk().to_string().as_bytes(), &provider.claims(now()))
        }),
        ("says RS256", |provider| as_header(provider, json!({ "alg": "RS256", "kid": provider.key().kid }))),
        ("says ES384", |provider| as_header(provider, json!({ "alg": "ES384", "kid": provider.key().kid }))),
        ("brings its own key", |provider| {
            let own = Signer::es256("public:own");
            own.sign_with(&json!({ "alg": "ES256", "kid": "public:own", "jwk": own.jwk() }), &provider.claims(now()))
        }),
        ("says where its key is", |provider| {
            let own = Signer::es256("public:own");
            let header = json!({ "alg": "ES256", "kid": "public:own", "jku": "http://127.0.0.1:1/jwks" });
            own.sign_with(&header, &provider.claims(now()))
        }),
        ("another key of that name", |provider| Signer::es256(&provider.key().kid).sign(&provider.claims(now()))),
        ("a signature cut short", |provider| {
            let token = provider.key().sign(&provider.claims(now()));
            token[..token.len() - 8].to_owned()
        }),
        ("another payload under the signature", |provider| {
            let (honest, other) = (provider.claims(now()), with(provider.claims(now()), "sub", json!("somebody")));
            let (mine, theirs) = (provider.key().sign(&honest), provider.key().sign(&other));
            let part = |token: &str, nth: usize| token.split('.').nth(nth).unwrap_or_default().to_owned();
            [part(&mine, 0), part(&theirs, 1), part(&mine, 2)].join(".")
        }),
    ];
    lies.extend(
        forged
            .into_iter()
            .map(|(name, made)| Lie::new(about, name, move |provider| exchange(provider, &made(provider)))),
    );
    lies
}

fn as_header(provider: &LyingProvider, header: Value) -> String {
    provider.key().sign_with(&header, &provider.claims(now()))
}

fn unsigned(provider: &LyingProvider, algorithm: &str) -> String {
    let token = as_header(provider, json!({ "alg": algorithm, "kid": provider.key().kid }));
    token.rsplit_once('.').map(|(input, _)| format!("{input}.")).unwrap_or_default()
}

fn userinfo() -> Vec<Lie> {
    let about = About::Userinfo;
    let mut lies: Vec<_> = nonsense()
        .into_iter()
        .map(|(name, reply)| {
            Lie::new(about, name, move |provider| {
                approve(provider);
                provider.tell(USERINFO, [reply.clone()]);
            })
        })
        .collect();
    lies.extend(statuses().into_iter().chain([400, 401, 403, 429].map(|status| Reply::text(status, ""))).map(
        |reply| {
            Lie::new(about, format!("status {}", reply.status()), move |provider| {
                approve(provider);
                provider.tell(USERINFO, [reply.clone()]);
            })
        },
    ));
    let honest = || json!({ "sub": SUBJECT, "name": "Ada Lovelace", "phone_number": "4791234567" });
    let edits = [
        ("sub", json!("somebody-else")),
        ("sub", json!("")),
        ("sub", json!(null)),
        ("sub", json!(5)),
        ("sub", json!([SUBJECT])),
        ("sub", json!({ "value": SUBJECT })),
        ("sub", json!(format!("{SUBJECT} "))),
        ("sub", json!(SUBJECT.to_uppercase())),
        ("phone_number", json!("4799999999")),
        ("phone_number", json!("1")),
        ("phone_number", json!("")),
        ("phone_number", json!(["4791234567"])),
        ("phone_number", json!({ "value": "4791234567" })),
        ("phone_number", json!("tel:nobody")),
    ];
    lies.extend(edits.into_iter().map(|(member, content)| {
        let body = with(honest(), member, content.clone());
        Lie::new(about, format!("{member} is {content}"), move |provider| {
            approve(provider);
            provider.tell(USERINFO, [Reply::json(200, &body)]);
        })
    }));
    let twice = format!(r#"{{"sub":"{SUBJECT}","sub":"somebody-else","phone_number":"4791234567"}}"#);
    lies.push(Lie::new(about, "two subjects", move |provider| {
        approve(provider);
        provider.tell(USERINFO, [Reply::text(200, &twice)]);
    }));
    lies
}

/// Servers that do not speak HTTP well, send elsewhere, or are somebody else's.
fn lines() -> Vec<Lie> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n";
    let scripts = [
        ("closes unread", Script::Hangup),
        ("no HTTP at all", Script::Bytes(b"SSH-2.0-OpenSSH_9.6\r\n")),
        ("an empty line", Script::Bytes(b"\r\n\r\n")),
        ("a status of five digits", Script::Bytes(b"HTTP/1.1 20000 OK\r\n\r\n")),
        ("a negative length", Script::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}")),
        ("a length of 10^20", Script::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000000000000\r\n\r\n{}")),
        ("two lengths", Script::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 900\r\n\r\n{}")),
        (
            "a chunk that is none",
            Script::Bytes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk without end",
            Script::Endless(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffff\r\n",
                b"aaaaaaaaaaaaaaaa",
            ),
        ),
        ("headers without end", Script::Endless(HEAD, b"x-more: and more and more and more\r\n")),
        ("one header without end", Script::Endless(b"HTTP/1.1 200 OK\r\nx-long: ", b"aaaaaaaaaaaaaaaaaaaaaaaa")),
        ("a status line without end", Script::Endless(b"HTTP/1.1 200 ", b"OK OK OK OK OK OK OK ")),
        ("100 Continue for ever", Script::Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
        ("one byte each second", Script::Dripping(HEAD, b"x-slow: 1\r\n")),
        ("a body of one byte each second", Script::Dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", b" ")),
    ];
    let places = [
        ("backchannel_authentication_endpoint", About::Start),
        ("token_endpoint", About::Poll),
        ("jwks_uri", About::Keys),
        ("userinfo_endpoint", About::Userinfo),
    ];
    let mut lies = Vec::new();
    for (member, about) in places {
        lies.extend(scripts.map(|(name, script)| Lie::how(about, name, How::Raw(member, script))));
    }
    let redirects = [(START, About::Start), (TOKEN, About::Poll), (JWKS, About::Keys), (USERINFO, About::Userinfo)];
    for (path, about) in redirects {
        for status in [301, 302, 303, 307, 308] {
            lies.push(Lie::how(about, &format!("{status} to somebody else"), How::Redirect(path, status)));
        }
    }
    for status in [301, 302, 307, 308] {
        let name = format!("{status} to somebody else");
        lies.push(Lie::how(About::Discovery, &name, How::Redirect(DISCOVERY, status)));
    }
    lies.push(Lie::how(About::Discovery, "a host that is a number", How::Elsewhere("http://2130706434:1/token")));
    lies.push(Lie::how(About::Discovery, "a host of another name", How::Elsewhere("http://localhost:1/token")));
    lies
}
