//! Swedish.

use super::Texts;

pub(super) const TEXTS: Texts = Texts {
    starting: "Förfrågan skickas till telefonen.",
    ask_for_code: "Be personen öppna {app}, läsa upp koden som visas där och godkänna. Ingen förfrågan? Dra nedåt på \
        skärmen för att uppdatera.",
    ask_to_approve: "Koden är rätt. Be personen godkänna förfrågan i {app}.",
    read_code_out: "Läs upp koden. Visar {app} samma kod kan personen godkänna. Ingen förfrågan? Dra nedåt på skärmen för \
        att uppdatera.",
    compare_with_screen: "Öppna {app}, jämför koden med den på den här skärmen och godkänn. Ingen förfrågan? Dra nedåt på skärmen för att uppdatera.",
    verifying: "Godkänt i telefonen. Ett ögonblick, det kontrolleras.",
    type_code: "Godkänt i telefonen. Be om koden som {app} visar och skriv in den.",
    approved: "Det är rätt person. Gå vidare.",
    denied: "Förfrågan avvisades i telefonen. Fråga om det var ett misstag. Var den oväntad slutar du där.",
    expired: "Ingen svarade i tid. Kontrollera numret och försök en gång till.",
    cancelled: "Inloggningen är avbruten. Telefonen kan fortfarande visa förfrågan, men den har ingen verkan.",
    start_unknown: "Det är oklart om telefonen fick någon förfrågan. Syns en där låter du den gå ut och börjar sedan om.",
    person_unknown: "Det här numret kan inte logga in så här: appen används inte där, eller så är ägaren under 15 år. Använd ett annat sätt.",
    app_too_old: "Appen i telefonen är för gammal. Be personen uppdatera den, eller använd ett annat sätt.",
    refused: "Inloggningstjänsten avvisade förfrågan. Använd ett annat sätt och meddela supporten.",
    provider_unavailable: "Inloggningstjänsten kan inte nås. Ingen har sagt nej. Försök igen senare.",
    result_lost: "Personen godkände, men resultatet gick förlorat. Ingen har sagt nej. Börja om.",
    gateway_failed: "Systemet fungerade inte. Ingen har sagt nej. Börja om och säg till supporten.",
    not_trusted: "Svaret från inloggningstjänsten går inte att lita på. Gå inte vidare, och meddela supporten.",
    phone_mismatch: "Godkännandet kom från ett annat nummer. Gå inte vidare. Kontrollera numret.",
    other_person: "Någon annan än den som kontot tillhör har godkänt. Gå inte vidare.",
    claim_missing: "Godkänt, men en uppgift som vi måste ha kom inte med. Använd ett annat sätt.",
    code_not_confirmed: "Koden skrevs inte in i tid. Börja om.",
    code_mismatch: "Fel kod tre gånger. Personen har kanske inte telefonen. Gå inte vidare.",
    userinfo_refused: "Personen godkände, men inloggningstjänsten sade inte vem det är. Ingen har sagt nej. Börja om.",
    provider_busy: "För många förfrågningar väntar på den här telefonen. Be personen avvisa de gamla i {app}, vänta en minut och börja om.",
    number_busy: "Det här numret har redan fått en förfrågan. Vänta tills den är avslutad.",
    too_many_starts: "För många förfrågningar på kort tid. Vänta en stund eller använd ett annat sätt.",
    scan_again: "Be dem skanna koden en gång till.",
};
