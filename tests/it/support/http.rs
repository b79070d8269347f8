//! Plain HTTP, as operators' tools and browsers speak it.

use std::time::Duration;

use reqwest::Client;

/// What the command line does at its start.
pub(crate) fn install_crypto() {
    // A second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(crate) fn client() -> Client {
    install_crypto();
    #[expect(clippy::disallowed_methods, reason = "a client of ours, not of the provider")]
    let client = Client::builder();
    client.no_proxy().timeout(Duration::from_secs(20)).build().expect("an HTTP client")
}

/// Status and body; `None` when nobody answers.
pub(crate) async fn get(url: &str) -> Option<(u16, String)> {
    let answer = client().get(url).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

/// The JSON behind an address that must answer.
pub(crate) async fn get_json(url: &str) -> serde_json::Value {
    let (status, body) = get(url).await.unwrap_or_else(|| panic!("{url} does not answer"));
    assert_eq!(status, 200, "{url}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Posts JSON, or nothing, and gives the status.
pub(crate) async fn post(url: &str, body: Option<&serde_json::Value>) -> u16 {
    let mut request = client().post(url);
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await.unwrap_or_else(|error| panic!("{url}: {error}")).status().as_u16()
}
