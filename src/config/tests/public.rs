//! `[public]`: the listener that the world reaches.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use url::Url;

use super::super::{BaseUrl, Config, Mistakes};
use super::{Folder, LEAST, line, parse, with};

fn public(lines: &str) -> Result<Config, Mistakes> {
    with(&format!("[public]\n{lines}\n"))
}

#[test]
fn there_is_no_public_listener_until_somebody_wants_one() {
    assert!(parse(LEAST).unwrap().public.is_none());
    let public = public("base_url = \"https://login.bank.example\"").unwrap().public.unwrap();
    assert_eq!((public.listen.to_string().as_str(), public.tls.is_none()), ("127.0.0.1:8080", true));
    assert_eq!(public.base_url.to_string(), "https://login.bank.example");
    assert_eq!(public.base_url.host(), "login.bank.example");
}

#[test]
fn a_base_url_may_have_a_port_and_a_path() {
    let base = |url: &str| BaseUrl::new(&url.parse::<Url>().unwrap(), false).unwrap();
    for (url, host, prefix, hook) in [
        ("https://a.example/", "a.example", "", "https://a.example/webhooks/x"),
        ("https://a.example:443", "a.example", "", "https://a.example/webhooks/x"),
        ("https://A.example:8443/", "a.example:8443", "", "https://a.example:8443/webhooks/x"),
        ("https://a.example/ciba/v1/", "a.example", "/ciba/v1", "https://a.example/ciba/v1/webhooks/x"),
    ] {
        let base = base(url);
        assert_eq!((base.host().as_str(), base.prefix(), base.at("/webhooks/x").as_str()), (host, prefix, hook));
    }
}

/// The world is sent nowhere without TLS, and nothing secret stands in the URL.
#[test]
fn a_base_url_that_cannot_be_is_told_without_being_repeated() {
    for (url, said) in [
        ("http://s3cret.example", "must begin with https://; only tests set allow_insecure_base_url"),
        ("ftp://s3cret.example", "must begin with https://"),
        ("https://user:s3cret@a.example", "must have a host, and no user"),
        ("https://a.example/?s3cret", "must have a host, and no user"),
        ("https://a.example/#s3cret", "must have a host, and no user"),
        ("https://a.example/s3cret//x", "must have a path of letters"),
        ("https://a.example/{s3cret}", "must have a path of letters"),
        ("https://a.example/:s3cret", "must have a path of letters"),
        ("https://a.example/*s3cret", "must have a path of letters"),
        ("s3cret", "must be a URL"),
    ] {
        let told = line(public(&format!("base_url = \"{url}\"")));
        assert!(told.contains(&format!("public.base_url {said}")) && !told.contains("s3cret"), "{url}: {told}");
    }
    assert!(public("base_url = \"http://127.0.0.1:1\"\nallow_insecure_base_url = true").is_ok());
    assert!(line(public("")).contains("public.base_url is missing"));
}

#[test]
fn the_world_is_listened_to_by_tls_or_from_behind_a_proxy() {
    let lines = "base_url = \"https://a.example\"\nlisten = \"0.0.0.0:8080\"";
    let told = line(public(lines));
    assert!(told.contains("public.listen must be a loopback address without [public.tls]"), "{told}");
    assert!(public(&format!("{lines}\nplaintext = \"behind-a-proxy\"")).is_ok());

    let folder = Folder::new();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    folder.file("crt", &cert.pem());
    folder.file("key", &signing_key.serialize_pem());
    let tls = "[public.tls]\ncertificate_file = \"crt\"\nkey_file = \"key\"\n";
    let config = folder.parse(&format!("[public]\n{lines}\n{tls}{LEAST}")).unwrap();
    assert!(config.public.unwrap().tls.unwrap().clients.is_none());
    let both = format!("[public]\n{lines}\nplaintext = \"behind-a-proxy\"\n{tls}{LEAST}");
    assert!(line(folder.parse(&both)).contains("public.plaintext contradicts tls"));
    let asks = format!("[public]\n{lines}\n{tls}client_ca_file = \"crt\"\n{LEAST}");
    assert!(line(folder.parse(&asks)).contains("public.tls.client_ca_file is not a setting"));
}
