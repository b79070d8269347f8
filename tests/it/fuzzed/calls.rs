//! Calls of every method, through the front door of a whole gateway.
//!
//! An input's first byte says what the person does; then come calls: who, which
//! method, how many bytes, and a message's bytes, which are read over an honest
//! message. Texts of one letter stand for what only the gateway knows.

use std::collections::BTreeSet;
use std::time::Duration;

use arbitrary::Unstructured;
use ciba_gateway::grpc::v1;
use prost::Message;
use tonic::Code;

use crate::support::client::{Client, NUMBER, Refusal, about, at_the_box, at_the_till, hand_over, on_a_call};
use crate::support::fake_provider::Asked;
use crate::support::stage::{Gateway, Stage};

const MAX_CALLS: usize = 12;
/// A run of digits that no message of ours has by itself.
const TELLING_DIGITS: usize = 6;
const LONGEST_MESSAGE: usize = 4096;
/// How long a stream is read.
const A_WHILE: Duration = Duration::from_secs(30);

pub(crate) fn judge(data: &[u8]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let mut story = Story::begin();
        // It ends when there are too few bytes for another call.
        let _ = story.tell(&mut Unstructured::new(data)).await;
        !story.newest.is_empty()
    })
}

struct Story {
    stage: Stage,
    /// It acts as long as it is there.
    _gateway: Gateway,
    clients: [Client; 6],
    /// Of tenant `acme`, and of the other one.
    logins: [BTreeSet<String>; 2],
    newest: String,
    page_token: String,
    cursors: [String; 2],
    caller: usize,
}

impl Story {
    fn begin() -> Self {
        let (stage, gateway) = Stage::with_gateway();
        let clients = [
            gateway.desk(),
            gateway.kiosk(),
            gateway.lead(),
            gateway.stranger(),
            gateway.desk().without_agent(),
            gateway.desk().showing(Some("Bearer nothing")),
        ];
        Self {
            stage,
            _gateway: gateway,
            clients,
            logins: Default::default(),
            newest: String::new(),
            page_token: String::new(),
            cursors: Default::default(),
            caller: 0,
        }
    }

    async fn tell(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        match u.arbitrary::<u8>()? % 3 {
            0 => {}
            1 => self.stage.provider.person_approves(),
            _ => self.stage.provider.person_denies(),
        }
        for _ in 0..MAX_CALLS {
            self.caller = usize::from(u.arbitrary::<u8>()?) % self.clients.len();
            let method = u.arbitrary::<u8>()? % 13;
            let length = usize::from(u.arbitrary::<u8>()?).min(u.len());
            let bytes = u.bytes(length)?;
            let starts = self.stage.provider.count(Asked::Start);
            if let Some(Err(refusal)) = self.call(method, bytes).await {
                self.refused(&refusal, bytes);
                let may_ring = !matches!(refusal.code, Code::InvalidArgument | Code::Unimplemented | Code::NotFound);
                assert!(may_ring || self.stage.provider.count(Asked::Start) == starts, "rung and refused: {refusal:?}");
            }
        }
        Ok(())
    }

    /// `None` when the bytes are no such message.
    async fn call(&mut self, method: u8, bytes: &[u8]) -> Option<Result<(), Refusal>> {
        let desk = self.clients[self.caller].clone();
        let newest = self.newest.clone();
        let read = |id: String| if id == "L" { newest.clone() } else { id };
        let login = match method {
            0 => {
                let checked = desk.check(over(about(NUMBER), bytes)?).await;
                return Some(checked.map(drop));
            }
            1 => self.starts(&desk, over(at_the_till("r-1", NUMBER), bytes)?).await,
            2 => self.starts(&desk, over(on_a_call("r-2", NUMBER), bytes)?).await,
            3 => self.starts(&desk, over(at_the_box("r-3", NUMBER), bytes)?).await,
            4 => desk.try_get(&read(over(v1::GetLoginRequest { login_id: "L".into() }, bytes)?.login_id)).await,
            5 => {
                let timeout = Some(prost_types::Duration { seconds: 30, nanos: 0 });
                let request = over(v1::WaitLoginRequest { login_id: "L".into(), timeout }, bytes)?;
                desk.try_wait(&read(request.login_id), request.timeout.unwrap_or_default().seconds).await
            }
            6 => {
                let request = over(v1::ConfirmCodeRequest { login_id: "L".into(), code: "K".into() }, bytes)?;
                let is_known = request.code == "K" && !self.stage.provider.shown().is_empty();
                let code = if is_known { self.stage.provider.code_in_the_app() } else { request.code };
                let verdict = desk.try_confirm(&read(request.login_id), &code).await;
                verdict.map(|verdict| verdict.login.expect("a login"))
            }
            7 => desk.try_cancel(&read(over(v1::CancelLoginRequest { login_id: "L".into() }, bytes)?.login_id)).await,
            8 => match over(v1::EraseLoginRequest::default(), bytes)?.what {
                None => desk.try_erase(&newest).await,
                Some(v1::erase_login_request::What::LoginId(id)) => desk.try_erase(&read(id)).await,
                Some(v1::erase_login_request::What::PhoneNumber(number)) => {
                    return Some(desk.erase_number(&number).await.map(drop));
                }
            },
            9 => desk.try_transfer(over(hand_over(&newest, "ada"), bytes)?).await,
            10 => {
                let interval = Some(prost_types::Duration { seconds: 20, nanos: 0 });
                let honest = v1::WatchLoginRequest { login_id: "L".into(), heartbeat_interval: interval };
                let request = over(honest, bytes)?;
                let interval = request.heartbeat_interval.unwrap_or_default().seconds;
                return Some(self.watches_one(&desk, &read(request.login_id), interval).await);
            }
            11 => return Some(self.lists(&desk, over(v1::ListLoginsRequest::default(), bytes)?).await),
            _ => return Some(self.watches(&desk, over(v1::WatchLoginsRequest::default(), bytes)?).await),
        };
        Some(login.map(|login| self.sees(&login)))
    }

    async fn starts(&mut self, desk: &Client, request: v1::StartLoginRequest) -> Result<v1::Login, Refusal> {
        let login = desk.try_start(request).await?;
        assert!(!self.logins[1 - self.tenant()].contains(&login.login_id), "a login of another tenant");
        self.logins[self.tenant()].insert(login.login_id.clone());
        self.newest.clone_from(&login.login_id);
        Ok(login)
    }

    async fn watches_one(&self, desk: &Client, login: &str, heartbeat: i64) -> Result<(), Refusal> {
        let mut watch = desk.try_watch(login, heartbeat).await?;
        assert!(self.logins[self.tenant()].contains(login), "a login of another tenant");
        watch.within(A_WHILE).await;
        Ok(())
    }

    async fn lists(&mut self, desk: &Client, mut request: v1::ListLoginsRequest) -> Result<(), Refusal> {
        if request.page_token == "P" {
            request.page_token.clone_from(&self.page_token);
        }
        let size = request.page_size;
        let page = desk.try_list(request).await?;
        assert!(size <= 500 && page.logins.len() <= if size == 0 { 50 } else { size as usize }, "{size}");
        page.logins.iter().for_each(|login| self.sees(login));
        if !page.next_page_token.is_empty() {
            self.page_token = page.next_page_token;
        }
        Ok(())
    }

    async fn watches(&mut self, desk: &Client, mut request: v1::WatchLoginsRequest) -> Result<(), Refusal> {
        use v1::watch_logins_request::Position;
        let (own, foreign) = (self.cursors[self.tenant()].clone(), self.cursors[1 - self.tenant()].clone());
        let is_foreign = request.position == Some(Position::Cursor("F".into())) && !foreign.is_empty();
        match &mut request.position {
            Some(Position::Cursor(cursor)) if cursor == "C" => *cursor = own,
            Some(Position::Cursor(cursor)) if cursor == "F" => *cursor = foreign,
            _ => {}
        }
        let mut watch = desk.try_watch_all(request).await?;
        assert!(!is_foreign, "a cursor of another tenant passed");
        watch.within(A_WHILE).await;
        self.cursors[self.tenant()].clone_from(&watch.cursor);
        Ok(())
    }

    fn tenant(&self) -> usize {
        usize::from(self.caller == 3)
    }

    /// What holds for each login that anybody sees.
    fn sees(&self, login: &v1::Login) {
        assert!(self.logins[self.tenant()].contains(&login.login_id), "a login of another tenant");
        let (calling_code, end) = login.masked_phone_number.split_once('…').expect("a mask");
        let masks = calling_code.starts_with('+') && calling_code.len() <= 4 && end.len() == 2;
        assert!(masks, "{}", login.masked_phone_number);
        if login.code_mode() == v1::CodeMode::ReadBack {
            assert_eq!(login.code, "", "SR14");
            assert!(login.code_matched || login.identity.is_none(), "SR13");
        }
        assert!(login.identity.is_none() || login.outcome() == v1::Outcome::Approved);
        assert!(login.code_tries_left <= 3);
    }

    /// What holds for each refusal.
    fn refused(&self, refusal: &Refusal, bytes: &[u8]) {
        let unexpected = [Code::Internal, Code::Unknown, Code::DataLoss, Code::Ok];
        assert!(!unexpected.contains(&refusal.code) && !refusal.reason.is_empty(), "{refusal:?}");
        assert!(refusal.message.len() <= LONGEST_MESSAGE, "{} bytes", refusal.message.len());
        let sent = String::from_utf8_lossy(bytes);
        let runs = sent.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() >= TELLING_DIGITS);
        for run in runs {
            let is_echoed = refusal.message.contains(run) || refusal.fields.iter().any(|field| field.contains(run));
            assert!(!is_echoed, "{run} is repeated: {refusal:?}");
        }
    }
}

/// `honest` with what `bytes` say instead; `None` when they are no such message.
fn over<M: Message>(mut honest: M, bytes: &[u8]) -> Option<M> {
    honest.merge(bytes).ok().map(|()| honest)
}
