//! What the phone shows: one file without script, picture or address.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_FRAME_OPTIONS};
use sha2::{Digest, Sha256};

use crate::language::Language;
use crate::logins::Landing;

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;margin:15vh auto;max-width:24rem;padding:0 1.5rem;\
    text-align:center;color:#222;background:#fff}h1{font-size:1.4rem}p.name{color:#666}";

/// Nothing but the one style may have an effect.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

/// The page in that language; its status is the caller's to set. The tenant's name may
/// hold anything.
pub(super) fn of(landing: Landing, language: Language, tenant: &str) -> Response {
    let (title, text) = words(landing, language);
    let (tag, tenant) = (language.tag(), escaped(tenant));
    let page = format!(
        "<!doctype html>\n<html lang=\"{tag}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body><p class=\"name\">{tenant}</p><h1>{title}</h1><p>{text}</p></body></html>\n"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (headers, Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// What it is called, and what to do.
const fn words(landing: Landing, language: Language) -> (&'static str, &'static str) {
    match language {
        Language::English => match landing {
            Landing::Done => ("Done", "You can close this page and go on where you were."),
            Landing::Failed => ("It did not work", "Close this page and start again where you were."),
            Landing::Used => ("Already used", "If you have just approved, it is done. You can close this page."),
            Landing::Busy => ("One moment", "It does not work just now. Load this page again."),
        },
        Language::Norwegian => match landing {
            Landing::Done => ("Ferdig", "Du kan lukke siden og fortsette der du var."),
            Landing::Failed => ("Det gikk ikke", "Lukk siden og begynn på nytt der du var."),
            Landing::Used => ("Allerede brukt", "Hvis du nettopp godkjente, er det i orden. Du kan lukke siden."),
            Landing::Busy => ("Et øyeblikk", "Det går ikke akkurat nå. Last siden på nytt."),
        },
        Language::Swedish => match landing {
            Landing::Done => ("Klart", "Du kan stänga sidan och fortsätta där du var."),
            Landing::Failed => ("Det gick inte", "Stäng sidan och börja om där du var."),
            Landing::Used => ("Redan använt", "Om du nyss godkände är det klart. Du kan stänga sidan."),
            Landing::Busy => ("Ett ögonblick", "Det går inte just nu. Ladda om sidan."),
        },
        Language::Danish => match landing {
            Landing::Done => ("Færdig", "Du kan lukke siden og fortsætte, hvor du var."),
            Landing::Failed => ("Det lykkedes ikke", "Luk siden, og begynd forfra, hvor du var."),
            Landing::Used => ("Allerede brugt", "Hvis du lige har godkendt, er det i orden. Du kan lukke siden."),
            Landing::Busy => ("Et øjeblik", "Det går ikke lige nu. Genindlæs siden."),
        },
        Language::Finnish => match landing {
            Landing::Done => ("Valmis", "Voit sulkea sivun ja jatkaa siitä, missä olit."),
            Landing::Failed => ("Se ei onnistunut", "Sulje sivu ja aloita uudelleen siitä, missä olit."),
            Landing::Used => ("Jo käytetty", "Jos hyväksyit juuri, kaikki on kunnossa. Voit sulkea sivun."),
            Landing::Busy => ("Hetkinen", "Se ei onnistu juuri nyt. Lataa sivu uudelleen."),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_whatever_it_holds() {
        assert_eq!(escaped("Tom & \"Jerry\" <script>'"), "Tom &amp; &quot;Jerry&quot; &lt;script&gt;&#39;");
    }

    #[test]
    fn the_policy_names_the_style_and_nothing_else() {
        let policy = POLICY.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        for loose in ["unsafe", "http", "'self'", "*"] {
            assert!(!policy.contains(loose), "{loose}");
        }
    }
}
