//! Fictional people: the same phone number always belongs to the same person.
//!
//! Names, addresses and national identity numbers are made up from a hash of
//! the number. The identity numbers cannot belong to anybody: they use the
//! ranges or day and month offsets each country keeps for test data, or serial
//! numbers it does not issue.

use sha2::{Digest as _, Sha256};

use super::msisdn::Msisdn;
use super::random::uuid_text;

/// One fictional person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) given_name: &'static str,
    pub(super) family_name: &'static str,
    pub(super) gender: &'static str,
    /// `YYYY-MM-DD`.
    pub(super) birthdate: String,
    pub(super) nin: String,
    pub(super) email: String,
    pub(super) phone_number: String,
    pub(super) home: Address,
    pub(super) other_home: Option<Address>,
}

/// A postal address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Address {
    /// May hold a newline before the unit or floor, as Vipps's do.
    pub(super) street: String,
    pub(super) postal_code: &'static str,
    pub(super) region: &'static str,
    pub(super) country: &'static str,
}

const WOMEN: [&str; 8] = ["Ingrid", "Astrid", "Solveig", "Freja", "Aino", "Liv", "Pipaluk", "Maja"];
const MEN: [&str; 8] = ["Håkon", "Lars", "Søren", "Åke", "Eero", "Malik", "Jonas", "Émile"];
const FAMILIES: [&str; 12] = [
    "Nordmann",
    "Bjørnstad",
    "Ødegård",
    "Kjær",
    "Sørensen",
    "Lindström",
    "Åkesson",
    "Virtanen",
    "Mäkelä",
    "Kleist",
    "Olsen Vik",
    "Hansen-Dahl",
];
const STREETS: [&str; 6] = ["Storgata", "Havnegade", "Sveavägen", "Mannerheimintie", "Aqqusinersuaq", "Fjellveien"];

/// The person behind a number.
pub(super) fn person(phone: &Msisdn) -> Person {
    let digest = Digits(Sha256::digest(phone.as_str().as_bytes()).into());
    let woman = digest.below(0, 2) == 0;
    let given_name = digest.pick(1, if woman { &WOMEN } else { &MEN });
    let family_name = digest.pick(2, &FAMILIES);
    let birth = Birth::of(&digest);
    Person {
        given_name,
        family_name,
        gender: if woman { "female" } else { "male" },
        birthdate: format!("{}-{:02}-{:02}", birth.year, birth.month, birth.day),
        nin: birth.nin(phone.country(), digest.below(7, 90)),
        email: format!("person-{}@example.com", phone.as_str()),
        phone_number: phone.as_str().to_owned(),
        home: address(&digest, phone.country(), 10),
        other_home: (digest.below(8, 3) == 0).then(|| address(&digest, phone.country(), 20)),
    }
}

/// The `sub` of a number at a client: one per sales unit and person, the same
/// at every login (Userinfo API FAQ).
pub(super) fn subject(client_id: &str, phone: &Msisdn) -> String {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(client_id.as_bytes())
        .chain_update([0])
        .chain_update(phone.as_str().as_bytes())
        .finalize()
        .into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid_text(bytes, 8)
}

/// A hash as a source of small choices.
struct Digits([u8; 32]);

impl Digits {
    fn below(&self, at: usize, bound: u8) -> u8 {
        self.0[at % self.0.len()] % bound
    }

    fn pick<T: Copy>(&self, at: usize, choices: &[T]) -> T {
        choices[usize::from(self.0[at % self.0.len()]) % choices.len()]
    }
}

struct Birth {
    year: u16,
    month: u8,
    day: u8,
}

impl Birth {
    /// Adults only: Vipps Login is for people of 15 and older.
    fn of(digest: &Digits) -> Self {
        Self {
            year: 1950 + u16::from(digest.below(3, 50)),
            month: 1 + digest.below(4, 12),
            day: 1 + digest.below(5, 28),
        }
    }

    /// An identity number in the country's format that nobody can have.
    fn nin(&self, country: &str, serial: u8) -> String {
        let Self { year, month, day } = self;
        let short_year = year % 100;
        match country {
            // Month plus 80, as in the Norwegian tax agency's synthetic data.
            "47" => format!("{day:02}{:02}{short_year:02}{:05}", month + 80, serial),
            // Serial number 0000 is not issued in Sweden.
            "46" => format!("{year}{month:02}{day:02}-0000"),
            // 900 to 999 are kept for temporary numbers in Finland.
            "358" => {
                let serial = 900 + u32::from(serial);
                let check = finnish_check(*day, *month, short_year, serial);
                format!("{day:02}{month:02}{short_year:02}-{serial}{check}")
            }
            // Day plus 60, as in Danish replacement numbers; also for Greenland.
            _ => format!("{:02}{month:02}{short_year:02}-00{serial:02}", day + 60),
        }
    }
}

fn finnish_check(day: u8, month: u8, short_year: u16, serial: u32) -> char {
    const ALPHABET: [char; 31] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'H', 'J', 'K', 'L', 'M', 'N',
        'P', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y',
    ];
    let date = u32::from(day) * 10_000 + u32::from(month) * 100 + u32::from(short_year);
    let remainder = (date * 1_000 + serial) % 31;
    ALPHABET[usize::try_from(remainder).unwrap_or(0)]
}

fn address(digest: &Digits, country: &str, at: usize) -> Address {
    let (postal_code, region, country) = match country {
        "47" => ("0154", "OSLO", "NO"),
        "46" => ("111 20", "Stockholm", "SE"),
        "358" => ("00100", "Helsinki", "FI"),
        "299" => ("3900", "Nuuk", "GL"),
        _ => ("1050", "København K", "DK"),
    };
    let street = digest.pick(at, &STREETS);
    let house = 1 + digest.below(at + 1, 120);
    let floor = 1 + digest.below(at + 2, 6);
    Address { street: format!("{street} {house}\nH0{floor}01"), postal_code, region, country }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(digits: &str) -> Msisdn {
        Msisdn::parse(digits).unwrap()
    }

    #[test]
    fn a_number_is_always_the_same_person() {
        assert_eq!(person(&phone("4790000001")), person(&phone("4790000001")));
        assert_ne!(person(&phone("4790000001")), person(&phone("4790000002")));
    }

    #[test]
    fn a_person_has_another_sub_at_every_client() {
        let phone = phone("4520000001");
        assert_eq!(subject("one", &phone), subject("one", &phone));
        assert_ne!(subject("one", &phone), subject("two", &phone));
    }

    #[test]
    fn identity_numbers_have_their_countries_formats() {
        for (digits, length) in
            [("4790000001", 11), ("4520000001", 11), ("46700000001", 13), ("358400000001", 11), ("299200001", 11)]
        {
            assert_eq!(person(&phone(digits)).nin.len(), length, "{digits}");
        }
    }
}
