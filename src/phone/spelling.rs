//! A code as it is read out: one word for each character, by the spelling
//! alphabet that telephone operators and authorities of the language use.
//!
//! English: ICAO Annex 10. Norwegian, Swedish, Danish and Finnish: the national
//! telegraph and telephone administrations' alphabets.

use super::{BindingCode, CODE_ALPHABET};
use crate::language::Language;

/// One word for each character of [`CODE_ALPHABET`], in its order.
type Words = [&'static str; 28];

#[rustfmt::skip]
const ENGLISH: Words = [
    "Alfa", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "Juliett", "Kilo", "Lima", "Mike",
    "November", "Papa", "Quebec", "Romeo", "Tango", "Uniform", "Victor", "Whiskey", "X-ray", "Yankee", "Zulu",
    "two", "three", "four", "six", "seven", "nine",
];

#[rustfmt::skip]
const NORWEGIAN: Words = [
    "Anna", "Cæsar", "David", "Edith", "Fredrik", "Gustav", "Harald", "Johan", "Karin", "Ludvig", "Martin",
    "Nils", "Petter", "Quintus", "Rikard", "Teodor", "Ulrik", "Enkelt-V", "Dobbelt-W", "Xerxes", "Yngling", "Zakarias",
    "to", "tre", "fire", "seks", "sju", "ni",
];

#[rustfmt::skip]
const SWEDISH: Words = [
    "Adam", "Caesar", "David", "Erik", "Filip", "Gustav", "Helge", "Johan", "Kalle", "Ludvig", "Martin",
    "Niklas", "Petter", "Qvintus", "Rudolf", "Tore", "Urban", "Viktor", "Wilhelm", "Xerxes", "Yngve", "Zäta",
    "två", "tre", "fyra", "sex", "sju", "nio",
];

#[rustfmt::skip]
const DANISH: Words = [
    "Anna", "Cecilie", "David", "Erik", "Frederik", "Georg", "Hans", "Johan", "Karen", "Ludvig", "Marie",
    "Nikolaj", "Peter", "Quintus", "Rasmus", "Theodor", "Ulla", "Viggo", "William", "Xerxes", "Yrsa", "Zackarias",
    "to", "tre", "fire", "seks", "syv", "ni",
];

#[rustfmt::skip]
const FINNISH: Words = [
    "Aarne", "Celsius", "Daavid", "Eemeli", "Faarao", "Gideon", "Heikki", "Jussi", "Kalle", "Lauri", "Matti",
    "Niilo", "Paavo", "Kuu", "Risto", "Tyyne", "Urho", "Vihtori", "Wiski", "Äksä", "Yrjö", "Tseta",
    "kaksi", "kolme", "neljä", "kuusi", "seitsemän", "yhdeksän",
];

const fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::Norwegian => &NORWEGIAN,
        Language::Swedish => &SWEDISH,
        Language::Danish => &DANISH,
        Language::Finnish => &FINNISH,
    }
}

impl BindingCode {
    /// The code in words, with spaces between them: `Kilo seven X-ray …`. As secret
    /// as the code itself.
    #[must_use]
    pub fn spelled(&self, language: Language) -> String {
        let place = |byte| CODE_ALPHABET.iter().position(|known| *known == byte);
        let word = |byte| place(byte).map(|place| words(language)[place]);
        self.expose().bytes().filter_map(word).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn spelled(code: &str, language: Language) -> String {
        BindingCode::parse(code).unwrap().spelled(language)
    }

    #[test]
    fn a_code_is_spelled_as_people_of_the_language_do() {
        assert_eq!(spelled("K7XRA", Language::English), "Kilo seven X-ray Romeo Alfa");
        assert_eq!(spelled("A2VWC", Language::Norwegian), "Anna to Enkelt-V Dobbelt-W Cæsar");
        assert_eq!(spelled("ACZ69", Language::Swedish), "Adam Caesar Zäta sex nio");
        assert_eq!(spelled("C7WZA", Language::Danish), "Cecilie syv William Zackarias Anna");
        assert_eq!(spelled("QXZ6A", Language::Finnish), "Kuu Äksä Tseta kuusi Aarne");
    }

    /// Whoever hears a word knows the character: no word stands for two, and each
    /// begins with its letter, but for those that name the letter.
    #[test]
    fn every_character_has_a_word_of_its_own_in_every_language() {
        let named = ["Enkelt-V", "Dobbelt-W", "Kuu", "Äksä", "Tseta"];
        for language in Language::ALL {
            let words = words(language);
            assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), CODE_ALPHABET.len(), "{language}");
            for (byte, word) in CODE_ALPHABET.iter().zip(words) {
                let is_letter = byte.is_ascii_uppercase();
                let begins = word.starts_with(char::from(*byte)) || named.contains(word);
                assert!(!is_letter || begins, "{language}: {word} for {}", char::from(*byte));
                assert!(is_letter || word.chars().all(char::is_lowercase), "{language}: {word}");
            }
        }
    }
}
