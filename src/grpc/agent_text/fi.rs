//! Finnish. The app's name stands where it takes no ending, or before `-sovellus`.

use super::Texts;

pub(super) const TEXTS: Texts = Texts {
    starting: "Pyyntöä lähetetään puhelimeen.",
    ask_for_code: "Pyydä asiakasta avaamaan {app}, lukemaan siinä näkyvä koodi ja hyväksymään pyyntö. Jos pyyntöä ei näy, \
        näkymän voi päivittää vetämällä näyttöä alaspäin.",
    ask_to_approve: "Koodi on oikea. Pyydä asiakasta hyväksymään pyyntö {app}-sovelluksessa.",
    read_code_out: "Lue koodi ääneen. Jos {app} näyttää saman koodin, asiakas voi hyväksyä pyynnön. Jos pyyntöä ei näy, \
        näkymän voi päivittää vetämällä näyttöä alaspäin.",
    compare_with_screen: "Avaa {app}, vertaa koodia tällä näytöllä olevaan koodiin ja hyväksy. Jos pyyntöä ei näy, vedä näyttöä alaspäin.",
    verifying: "Hyväksytty puhelimessa. Hetkinen, hyväksyntää tarkistetaan.",
    type_code: "Hyväksytty puhelimessa. Pyydä koodi, jonka {app} näyttää, ja kirjoita se.",
    approved: "Kyseessä on oikea henkilö. Jatka.",
    denied: "Pyyntö hylättiin puhelimessa. Kysy, oliko se vahinko. Jos asiakas ei odottanut pyyntöä, lopeta.",
    expired: "Kukaan ei vastannut ajoissa. Tarkista numero ja yritä vielä kerran.",
    cancelled: "Kirjautuminen on peruutettu. Pyyntö voi yhä näkyä puhelimessa, mutta sillä ei ole vaikutusta.",
    start_unknown: "Ei tiedetä, lähtikö pyyntö puhelimeen. Jos se näkyy siellä, anna sen vanhentua ja aloita uudelleen.",
    person_unknown: "Tällä numerolla ei voi kirjautua näin: sovellus ei ole siinä käytössä tai omistaja on alle 15-vuotias. Käytä toista tapaa.",
    app_too_old: "Puhelimen sovellus on liian vanha. Pyydä asiakasta päivittämään se tai käytä toista tapaa.",
    refused: "Kirjautumispalvelu hylkäsi pyynnön. Käytä toista tapaa ja ilmoita tukeen.",
    provider_unavailable: "Kirjautumispalveluun ei saada yhteyttä. Kukaan ei ole kieltäytynyt. Yritä myöhemmin uudelleen.",
    result_lost: "Asiakas hyväksyi pyynnön, mutta tulos katosi. Kukaan ei ole kieltäytynyt. Aloita uudelleen.",
    gateway_failed: "Järjestelmässä tapahtui virhe. Kukaan ei ole kieltäytynyt. Aloita uudelleen ja ilmoita tukeen.",
    not_trusted: "Kirjautumispalvelun vastaukseen ei voi luottaa. Älä jatka, ja ilmoita tukeen.",
    phone_mismatch: "Hyväksyntä tuli toisesta numerosta. Älä jatka. Tarkista numero.",
    other_person: "Hyväksyjä on joku muu kuin se, jolle tili kuuluu. Älä jatka.",
    claim_missing: "Hyväksytty, mutta välttämätön tieto puuttuu. Käytä toista tapaa.",
    code_not_confirmed: "Koodia ei kirjoitettu ajoissa. Aloita uudelleen.",
    code_mismatch: "Kolme väärää koodia. Puhelin ei ehkä ole soittajalla. Älä jatka.",
    userinfo_refused: "Asiakas hyväksyi pyynnön, mutta kirjautumispalvelu ei kertonut, kuka hän on. Kukaan ei ole kieltäytynyt. Aloita uudelleen.",
    provider_busy: "Puhelimessa odottaa liian monta pyyntöä. Pyydä asiakasta hylkäämään vanhat ({app}), odota minuutti ja aloita uudelleen.",
    number_busy: "Tälle numerolle on jo lähetetty pyyntö. Odota, kunnes se on päättynyt.",
    too_many_starts: "Liian monta pyyntöä lyhyessä ajassa. Odota hetki tai käytä toista tapaa.",
    scan_again: "Pyydä heitä skannaamaan koodi uudelleen.",
};
