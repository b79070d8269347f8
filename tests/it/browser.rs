//! `demo --stay` played by a person with a real browser: tests/browser/phone.mjs, which
//! also looks at what the pages ask for, keep and may do.

use crate::support::processes::{Ended, Process};
use crate::support::tools::{browser, node};

/// A demo that stays, and what it has told the human.
struct Demo {
    process: Process,
    phone: String,
    landing: String,
    code: String,
}

impl Demo {
    async fn start() -> Self {
        let process = Process::gateway(&["demo", "--stay"]);
        let phone = fact(&process, "phone page ").await;
        let landing = fact(&process, "landing page ").await;
        let code = fact(&process, "shop's code ").await;
        process.prints("Ctrl-C ends the demo.").await;
        Self { process, phone, landing, code }
    }

    /// A person whose browser speaks that language.
    async fn person(&self, language: &str, does: &[&str]) {
        let mut command = node("tests/browser/phone.mjs");
        command.args([&self.phone, &self.landing, language]).args(does).env("CIBA_TEST_CHROMIUM", browser());
        let mut person = Process::start(command).expect("Node.js runs");
        // A browser takes its time on a busy machine, and the rest has time of its own.
        person.prints("the phone page is open").await;
        let Ended { code, stdout, stderr } = person.ended().await;
        assert_eq!(code, Some(0), "{does:?}\n{stdout}\n{stderr}\n{}", self.process.stdout());
        assert!(stdout.contains("all was as it should be"), "{stdout}");
    }

    /// A login by the command that the demo has printed for one that ends on a page.
    async fn login_that_lands(&self) -> Process {
        let command = self.process.prints("--finish redirect").await;
        let words: Vec<_> = command.split_whitespace().collect();
        assert!(words[0].ends_with("ciba-gateway"), "{command}");
        let login = Process::gateway(&words[1..]);
        login.prints("not polled").await;
        login
    }

    /// It ends by Ctrl-C, and nothing went wrong in it.
    async fn ends(mut self) -> String {
        self.process.signal("INT");
        let ended = self.process.ended().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
        ended.stdout
    }
}

/// The first word after that name.
async fn fact(demo: &Process, name: &str) -> String {
    let line = demo.prints(name).await;
    let value = line.strip_prefix(name).and_then(|rest| rest.split_whitespace().next());
    value.unwrap_or_else(|| panic!("no fact in {line:?}")).to_owned()
}

#[tokio::test]
async fn whoever_scans_the_shops_code_is_asked_and_answers() {
    let demo = Demo::start().await;
    assert!(demo.process.stdout().contains('█'), "the code is drawn");
    demo.person("nb-NO", &["scan", &demo.code, "approve"]).await;
    demo.process.prints("✓ approved  at till-4").await;
    demo.person("en-GB", &["scan", &demo.code, "deny"]).await;
    demo.process.prints("✗ denied  at till-4").await;
    let told = demo.ends().await;
    assert_eq!(told.matches("somebody checks in at till-4").count(), 2, "{told}");
    assert!(told.contains("StartLogin → pending; the till shows "), "{told}");
}

#[tokio::test]
async fn whoever_approves_lands_on_the_gateways_page() {
    let demo = Demo::start().await;
    for language in ["nb-NO", "en-GB"] {
        let mut login = demo.login_that_lands().await;
        demo.person(language, &["answer", "approve"]).await;
        let ended = login.ended().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("✓ approved"), "{ended:?}");
    }
    demo.process.prints("✓ approved  at box-7").await;
    // A page that anybody can open ends no login by a refusal; its time does.
    let mut login = demo.login_that_lands().await;
    demo.person("en-GB", &["answer", "deny"]).await;
    assert!(login.runs(), "{}", login.stdout());
    login.signal("INT");
    assert_eq!(login.ended().await.code, Some(12));
    demo.process.prints("– cancelled  at box-7").await;
    let told = demo.ends().await;
    assert_eq!(told.matches("✓ approved  at box-7").count(), 2, "{told}");
}
