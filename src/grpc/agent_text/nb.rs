//! Norwegian (bokmål).

use super::Texts;

pub(super) const TEXTS: Texts = Texts {
    starting: "Forespørselen sendes til telefonen.",
    ask_for_code: "Be innringeren åpne {app}, lese opp koden som vises der, og godkjenne. Ingen forespørsel? Dra skjermen \
        ned for å oppdatere.",
    ask_to_approve: "Koden er riktig. Be innringeren godkjenne forespørselen i {app}.",
    read_code_out: "Les koden høyt. Viser {app} den samme, kan innringeren godkjenne. Ingen forespørsel? Dra skjermen ned \
        for å oppdatere.",
    compare_with_screen: "Åpne {app}, sammenlign koden med den på denne skjermen, og godkjenn. Ingen forespørsel? Dra skjermen ned for å oppdatere.",
    verifying: "Godkjent på telefonen. Et øyeblikk, det kontrolleres.",
    type_code: "Godkjent på telefonen. Be om koden som {app} viser, og skriv den inn.",
    approved: "Det er rett person. Gå videre.",
    denied: "Forespørselen ble avvist på telefonen. Spør om det var en feil. Var den ikke ventet, stopper du.",
    expired: "Ingen svarte i tide. Sjekk nummeret, og prøv én gang til.",
    cancelled: "Innloggingen er avbrutt. Telefonen kan fortsatt vise forespørselen, men den har ingen virkning.",
    start_unknown: "Det er uvisst om telefonen ble spurt. Vises en forespørsel der, lar du den løpe ut og starter på nytt.",
    person_unknown: "Dette nummeret kan ikke logge inn på denne måten: Appen er ikke i bruk der, eller eieren er under 15 år. Bruk en annen måte.",
    app_too_old: "Appen på telefonen er for gammel. Be innringeren oppdatere den, eller bruk en annen måte.",
    refused: "Innloggingstjenesten avviste forespørselen. Bruk en annen måte, og meld fra til brukerstøtte.",
    provider_unavailable: "Innloggingstjenesten kan ikke nås. Ingen har sagt nei. Prøv igjen senere.",
    result_lost: "Innringeren godkjente, men resultatet gikk tapt. Ingen har sagt nei. Start på nytt.",
    gateway_failed: "Systemet sviktet. Ingen har sagt nei. Start på nytt, og si fra til support.",
    not_trusted: "Svaret fra innloggingstjenesten er ikke til å stole på. Gå ikke videre, og meld fra til brukerstøtte.",
    phone_mismatch: "Godkjenningen kom fra et annet nummer. Gå ikke videre. Sjekk nummeret.",
    other_person: "En annen enn den kontoen tilhører, har godkjent. Gå ikke videre.",
    claim_missing: "Godkjent, men en opplysning vi må ha, kom ikke med. Bruk en annen måte.",
    code_not_confirmed: "Koden ble ikke skrevet inn i tide. Start på nytt.",
    code_mismatch: "Feil kode tre ganger. Det kan hende at innringeren ikke har telefonen. Gå ikke videre.",
    userinfo_refused: "Innringeren godkjente, men innloggingstjenesten sa ikke hvem det er. Ingen har sagt nei. Start på nytt.",
    provider_busy: "For mange forespørsler venter på denne telefonen. Be innringeren avvise de gamle i {app}, vent et minutt, og start på nytt.",
    number_busy: "Dette nummeret blir allerede spurt. Vent til den forespørselen er avsluttet.",
    too_many_starts: "For mange forespørsler på kort tid. Vent en stund, eller bruk en annen måte.",
    scan_again: "Be dem skanne koden en gang til.",
};
