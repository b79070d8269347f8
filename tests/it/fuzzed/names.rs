//! Short texts from outside: numbers, codes, ids, keys.
//!
//! An input is a text; every reader gets it.

use ciba_gateway::config::{ApiKey, ApiKeyHash, CertificateName};
use ciba_gateway::identity::Subject;
use ciba_gateway::phone::{BindingCode, Country, PhoneNumber};
use ciba_gateway::session::{AgentId, CallId, ClientId, LoginId, RequestId, TenantId, TerminalId};

const COUNTRIES: [(Country, &str); 5] = [
    (Country::Norway, "47"),
    (Country::Sweden, "46"),
    (Country::Denmark, "45"),
    (Country::Finland, "358"),
    (Country::Greenland, "299"),
];
const CODE_ALPHABET: &str = "ACDEFGHJKLMNPQRTUVWXYZ234679";

pub(crate) fn judge(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    for (country, _) in COUNTRIES {
        number(&text, PhoneNumber::parse(&text, country).ok());
    }
    code(&text);
    ids(&text);
    keys(&text);
    let provided = PhoneNumber::from_msisdn(&text).ok();
    let is_number = provided.is_some();
    number(&text, provided);
    is_number
}

fn number(text: &str, number: Option<PhoneNumber>) {
    let Some(number) = number else { return };
    let digits = number.msisdn();
    let calling_code = COUNTRIES.iter().find(|(country, _)| *country == number.country()).expect("a country").1;
    assert!(digits.starts_with(calling_code) && (7..=15).contains(&digits.len()), "{digits}");
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
    assert_eq!(PhoneNumber::from_msisdn(digits).as_ref(), Ok(&number), "as the provider writes it: {digits}");
    for (country, _) in COUNTRIES {
        assert_eq!(PhoneNumber::parse(&number.e164(), country).as_ref(), Ok(&number), "as a reader gets it");
    }
    assert_eq!(number.to_string(), format!("+{calling_code}…{}", &digits[digits.len() - 2..]));
    assert_eq!(format!("{number:?}"), format!("PhoneNumber({number})"));
    for said in [digits.to_owned(), format!("{text} {digits}{digits} {}", number.e164())] {
        let hidden = number.hidden_in(&said);
        assert!(!hidden.contains(&digits[calling_code.len()..]), "{hidden}");
    }
}

fn code(text: &str) {
    let Ok(code) = BindingCode::parse(text) else { return };
    let shown = code.expose();
    assert!((5..=8).contains(&shown.len()) && shown.chars().all(|c| CODE_ALPHABET.contains(c)), "{shown}");
    assert_eq!(BindingCode::parse(&shown.to_ascii_lowercase()).as_ref(), Ok(&code), "however it is typed");
    assert_eq!(format!("{code:?}"), "BindingCode(…)");
}

fn ids(text: &str) {
    let read = [
        TenantId::new(text).map(String::from).map(|id| (id, 32)),
        ClientId::new(text).map(String::from).map(|id| (id, 64)),
        AgentId::new(text).map(String::from).map(|id| (id, 64)),
        TerminalId::new(text).map(String::from).map(|id| (id, 64)),
        CallId::new(text).map(String::from).map(|id| (id, 128)),
        RequestId::new(text).map(String::from).map(|id| (id, 128)),
        LoginId::parse(text).map(String::from).map(|id| (id, 27)),
    ];
    for id in read {
        match id {
            Ok((id, longest)) => {
                assert_eq!(id, text);
                let is_plain = |c: char| c.is_ascii_graphic() && !"\"'\\{}<>%".contains(c);
                assert!((1..=longest).contains(&id.len()) && id.chars().all(is_plain), "{id:?}");
            }
            Err(problem) => assert!(problem.to_string().starts_with("must be "), "{problem}"),
        }
    }
    if let Some(subject) = Subject::new(text) {
        assert_eq!((subject.expose(), format!("{subject:?}").as_str()), (text, "Subject(…)"));
    }
}

fn keys(text: &str) {
    if let Some(key) = ApiKey::parse(text) {
        assert_eq!((key.expose(), text.len()), (text, 47), "as it was shown");
        assert!(!format!("{key:?}").contains(text));
        let hash = key.hash();
        assert_eq!(ApiKeyHash::from_hex(&hash.to_string()), Some(hash), "as the configuration has it");
    }
    if let Some(hash) = ApiKeyHash::from_hex(text) {
        assert_eq!(hash.to_string(), text.to_ascii_lowercase());
    }
    for name in [CertificateName::uri(text), CertificateName::dns(text), CertificateName::sha256(text)] {
        assert!(name.is_none() || text.is_ascii(), "{name:?}");
    }
}
