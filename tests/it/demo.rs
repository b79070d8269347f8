//! The first thing that somebody who has just built the program runs.

use crate::support::processes::{Ended, Process};
use crate::support::simulators::tap;

#[tokio::test]
async fn the_demo_shows_three_logins() {
    let Ended { code, stdout, stderr } = Process::gateway(&["demo"]).ended().await;
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    assert_eq!(stdout.matches("✓ approved").count(), 3, "{stdout}");
    assert!(stdout.contains("3 logins, 3 as they should be"), "{stdout}");
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "escape codes in a pipe:\n{stdout}{stderr}");
}

#[tokio::test]
async fn a_demo_that_stays_prints_a_command_that_works() {
    let mut demo = Process::gateway(&["demo", "--stay"]);
    let page = demo.prints("phone page").await;
    let command = demo.prints("ciba-gateway login").await;
    let mut words = command.split_whitespace();
    assert!(words.next().is_some_and(|program| program.ends_with("ciba-gateway")), "{command}");

    let mut login = Process::gateway(&words.collect::<Vec<_>>());
    let page = page.split_whitespace().last().expect("an address");
    tap(page.trim_end_matches("/phone/4712345678"), "4712345678", "approve").await;
    let ended = login.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("✓ approved"), "{ended:?}");

    demo.signal("INT");
    assert_eq!(demo.ended().await.code, Some(0));
}
