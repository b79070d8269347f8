//! English.

use super::Texts;

pub(super) const TEXTS: Texts = Texts {
    starting: "The request is being sent to the phone.",
    ask_for_code: "Ask them to open {app}, read you the code that it shows, and approve. No request there? Pull down to \
        refresh.",
    ask_to_approve: "The code is right. Ask them to approve the request in {app}.",
    read_code_out: "Read the code aloud. If {app} shows the same one, they can approve. No request there? Pull down to \
        refresh.",
    compare_with_screen: "Open {app}, compare the code with the one on this screen, and approve. No request there? Pull down to refresh.",
    verifying: "Approved on the phone. One moment while it is verified.",
    type_code: "Approved on the phone. Ask for the code that {app} shows, and type it.",
    approved: "It is the person. Go on.",
    denied: "The request was rejected on the phone. Ask whether it was a mistake; if they did not expect it, stop.",
    expired: "Nobody answered in time. Check the number, then try once more.",
    cancelled: "The login was cancelled. The phone may still show the request; it has no effect.",
    start_unknown: "It is not known whether the phone was asked. If a request shows there, let it lapse and start again.",
    person_unknown: "This number cannot log in this way: no app in use there, or its owner is under 15. Use another way.",
    app_too_old: "The app on the phone is too old. Ask them to update it, or use another way.",
    refused: "The login service refused the request. Use another way, and tell support.",
    provider_unavailable: "The login service cannot be reached. Nobody said no; try again later.",
    result_lost: "They approved, but the result was lost. Nobody said no; start again.",
    gateway_failed: "The gateway failed. Nobody said no; start again, and tell support.",
    not_trusted: "The answer of the login service could not be trusted. Do not go on; tell support.",
    phone_mismatch: "The approval came from another number. Do not go on; check the number.",
    other_person: "Somebody else approved than this account belongs to. Do not go on.",
    claim_missing: "They approved, but something that we must know about them did not come. Use another way.",
    code_not_confirmed: "The code was not typed in time. Start again.",
    code_mismatch: "Three wrong codes. The person on the line may not hold the phone. Do not go on.",
    userinfo_refused: "They approved, but the login service did not say who they are. Nobody said no; start again.",
    provider_busy: "Too many requests wait on this phone. Ask them to reject the old ones in {app}, wait a minute, and start again.",
    number_busy: "This number is being asked already. Wait until that request has ended.",
    too_many_starts: "Too many requests in a short time. Wait a while, or use another way.",
    scan_again: "Ask them to scan the code once more.",
};
