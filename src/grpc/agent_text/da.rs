//! Danish.

use super::Texts;

pub(super) const TEXTS: Texts = Texts {
    starting: "Anmodningen sendes til telefonen.",
    ask_for_code: "Bed kunden åbne {app}, læse koden op og godkende. Ingen anmodning? Træk ned på skærmen for at opdatere.",
    ask_to_approve: "Koden er rigtig. Bed kunden godkende anmodningen i {app}.",
    read_code_out: "Læs koden op. Viser {app} den samme, kan kunden godkende. Ingen anmodning? Træk ned på skærmen for at \
        opdatere.",
    compare_with_screen: "Åbn {app}, sammenlign koden med den på denne skærm, og godkend. Ingen anmodning? Træk ned på skærmen for at opdatere.",
    verifying: "Godkendt på telefonen. Et øjeblik, det bliver kontrolleret.",
    type_code: "Godkendt på telefonen. Bed om koden, som {app} viser, og skriv den.",
    approved: "Det er den rigtige person. Gå videre.",
    denied: "Anmodningen blev afvist på telefonen. Spørg, om det var en fejl. Var den uventet, stopper du.",
    expired: "Ingen svarede i tide. Tjek nummeret, og prøv én gang til.",
    cancelled: "Loginforsøget er annulleret. Telefonen kan stadig vise anmodningen, men den har ingen virkning.",
    start_unknown: "Det er uvist, om telefonen blev spurgt. Vises der en anmodning, så lad den udløbe, og start igen.",
    person_unknown: "Dette nummer kan ikke logge ind på denne måde: Appen bruges ikke der, eller ejeren er under 15 år. Brug en anden måde.",
    app_too_old: "Appen på telefonen er for gammel. Bed kunden opdatere den, eller brug en anden måde.",
    refused: "Logintjenesten afviste anmodningen. Brug en anden måde, og giv supporten besked.",
    provider_unavailable: "Logintjenesten kan ikke nås. Ingen har sagt nej. Prøv igen senere.",
    result_lost: "Kunden godkendte, men resultatet gik tabt. Ingen har sagt nej. Start igen.",
    gateway_failed: "Systemet svigtede. Ingen har sagt nej. Start igen, og giv besked til support.",
    not_trusted: "Svaret fra logintjenesten er ikke til at stole på. Gå ikke videre, og giv supporten besked.",
    phone_mismatch: "Godkendelsen kom fra et andet nummer. Gå ikke videre. Tjek nummeret.",
    other_person: "En anden end den, kontoen tilhører, har godkendt. Gå ikke videre.",
    claim_missing: "Godkendt, men en oplysning, som vi skal have, kom ikke med. Brug en anden måde.",
    code_not_confirmed: "Koden blev ikke skrevet i tide. Start igen.",
    code_mismatch: "Forkert kode tre gange. Kunden har måske ikke telefonen. Gå ikke videre.",
    userinfo_refused: "Kunden godkendte, men logintjenesten sagde ikke, hvem det er. Ingen har sagt nej. Start igen.",
    provider_busy: "For mange anmodninger venter på denne telefon. Bed kunden afvise de gamle i {app}, vent et minut, og start igen.",
    number_busy: "Dette nummer er allerede blevet spurgt. Vent, til den anmodning er afsluttet.",
    too_many_starts: "For mange anmodninger på kort tid. Vent lidt, eller brug en anden måde.",
    scan_again: "Bed dem scanne koden en gang til.",
};
