//! Numbers as people write them, and codes.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn parse(text: &str, country: Country) -> Result<String, InvalidPhoneNumber> {
    PhoneNumber::parse(text, country).map(|number| number.e164())
}

#[test]
fn a_number_is_hidden_in_a_text_with_and_without_its_country() {
    let number = PhoneNumber::parse("+4791234578", Country::Norway).unwrap();
    assert_eq!(number.hidden_in("a-4791234578-b-91234578-47"), "a-…-b-…-47");
    assert_eq!(number.hidden_in("desk"), "desk");
}

#[test]
fn numbers_of_the_five_countries_are_read_as_people_write_them() {
    let cases = [
        ("+4790000001", Country::Norway, "+4790000001"),
        ("0047 900 00 001", Country::Denmark, "+4790000001"),
        ("900 00 001", Country::Norway, "+4790000001"),
        ("+45 20 00 00 01", Country::Norway, "+4520000001"),
        ("070-000 00 01", Country::Sweden, "+46700000001"),
        ("+46 (0)70 000 00 01", Country::Norway, "+46700000001"),
        ("040 0000001", Country::Finland, "+358400000001"),
        ("+358-40-0000001", Country::Norway, "+358400000001"),
    ];
    for (text, country, expected) in cases {
        assert_eq!(parse(text, country).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn greenlandic_numbers_have_six_digits() {
    assert_eq!(parse("+299 20 00 01", Country::Norway).as_deref(), Ok("+299200001"));
    assert_eq!(parse("200001", Country::Greenland).as_deref(), Ok("+299200001"));
    assert_eq!(parse("+299 2000", Country::Norway), Err(InvalidPhoneNumber::NotANumber));
}

#[test]
fn what_cannot_be_rung_is_refused_with_the_reason() {
    let cases = [
        ("", InvalidPhoneNumber::Empty),
        ("   ", InvalidPhoneNumber::Empty),
        ("+44 20 7946 0958", InvalidPhoneNumber::Country),
        ("+1 212 555 0100", InvalidPhoneNumber::Country),
        ("+47 123", InvalidPhoneNumber::NotANumber),
        ("+47 900 00 001 99 99", InvalidPhoneNumber::NotANumber),
        ("900GREATDANE", InvalidPhoneNumber::NotANumber),
        ("+4790000001;ext=5", InvalidPhoneNumber::NotANumber),
        ("+4790000001\n", InvalidPhoneNumber::NotANumber),
        ("urn:msisdn:4790000001", InvalidPhoneNumber::NotANumber),
    ];
    for (text, expected) in cases {
        let text = if text.ends_with('\n') { &format!("{text}x") } else { text };
        assert_eq!(parse(text, Country::Norway), Err(expected), "{text:?}");
    }
    assert_eq!(parse(&"9".repeat(1_000_000), Country::Norway), Err(InvalidPhoneNumber::TooLong));
}

/// Found by a fuzzer: it was written as +460000701172, which reads as another number.
#[test]
fn a_number_that_reads_as_another_one_is_refused() {
    assert_eq!(parse("0000070-1172", Country::Sweden), Err(InvalidPhoneNumber::NotANumber));
}

#[test]
fn the_providers_own_form_is_read_with_and_without_plus() {
    for text in ["4790000001", "+4790000001"] {
        assert_eq!(PhoneNumber::from_msisdn(text).map(|n| n.e164()).as_deref(), Ok("+4790000001"));
    }
}

/// SR38: there is no way to print a number whole by accident.
#[test]
fn numbers_and_codes_print_masked() {
    let number = PhoneNumber::parse("+4790000001", Country::Norway).unwrap();
    assert_eq!(number.to_string(), "+47…01");
    assert_eq!(format!("{number:?}"), "PhoneNumber(+47…01)");
    assert_eq!(format!("{:?}", BindingCode::parse("ACDEF").unwrap()), "BindingCode(…)");
}

#[test]
fn codes_are_read_however_they_are_typed() {
    let code = BindingCode::parse("ACD2F").unwrap();
    for typed in ["acd2f", "A C D 2 F", "ACD-2F", " acd2f "] {
        assert_eq!(BindingCode::parse(typed), Ok(code.clone()), "{typed}");
    }
    for typed in ["", "ACD2", "ACD2FGHJK", "ACD0F", "ACDIF", "ÆCD2F", "ACD2!"] {
        assert_eq!(BindingCode::parse(typed), Err(InvalidBindingCode), "{typed}");
    }
}

/// SR12: at least 20 bits, no look-alikes, the provider's own character set.
#[test]
fn made_codes_spread_over_the_whole_alphabet() {
    assert_eq!(CODE_ALPHABET.iter().collect::<HashSet<_>>().len(), 28);
    assert!(CODE_LENGTH as f64 * 28_f64.log2() >= 20.0);
    let codes: Vec<_> = (0..5_000).map(|_| BindingCode::random(getrandom::fill).unwrap()).collect();
    for (place, _) in codes[0].expose().bytes().enumerate() {
        let seen: HashSet<_> = codes.iter().map(|code| code.expose().as_bytes()[place]).collect();
        assert_eq!(seen.len(), 28, "place {place}");
    }
    assert!(codes.iter().all(|code| !code.expose().contains(['0', 'O', '1', 'I', '5', 'S', '8', 'B'])));
}

#[test]
fn bytes_that_would_favour_some_characters_are_thrown_away() {
    let mut calls = 0;
    let code = BindingCode::random(|bytes: &mut [u8]| {
        calls += 1;
        bytes.fill(if calls == 1 { 255 } else { 0 });
        Ok::<_, ()>(())
    });
    assert_eq!(code.unwrap().expose(), "AAAAA");
    assert_eq!(calls, 2);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Ok(number) = PhoneNumber::parse(&text, Country::Norway) {
            prop_assert!(number.msisdn().bytes().all(|b| b.is_ascii_digit()));
            prop_assert_eq!(PhoneNumber::from_msisdn(number.msisdn()), Ok(number));
        }
        let _ = BindingCode::parse(&text);
    }

    #[test]
    fn eight_national_digits_are_norwegian_or_danish(digits in "[2-9][0-9]{7}") {
        for (country, prefix) in [(Country::Norway, "+47"), (Country::Denmark, "+45")] {
            prop_assert_eq!(parse(&digits, country), Ok(format!("{prefix}{digits}")));
        }
    }
}

/// SR38: what is not needed any more is not there any more.
#[test]
fn numbers_and_codes_are_wiped_when_they_are_dropped() {
    fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
    is_wiped::<PhoneNumber>();
    is_wiped::<BindingCode>();
    let mut number = PhoneNumber::parse("91234567", Country::Norway).unwrap();
    zeroize::Zeroize::zeroize(&mut number);
    assert!(number.digits.is_empty());
}
