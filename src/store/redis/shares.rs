//! What is sent to Redis for what replicas share: signs of life, owners, the
//! tenants' streams.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, cmd};

use super::calls::{CLEAN_UP_AFTER, Calls, INDEX_RETENTION, millis};
use super::known::HEAD_FIELDS;
use super::names::{HEARTBEATS, Names};
use super::script::{ADOPT, BEAT, Call, EVENTS, LEAVE, NEW_EPOCH, OWNED};
use super::sealed::{RawFields, RawIdentity};
use crate::session::{LoginId, TenantId, Terms};
use crate::store::events::random_epoch;
use crate::store::record::Fields;
use crate::store::{Events, Happened, Incarnation, LoginEvent, OUTCOME_RETENTION, Position, Pulse, Sign, StoreError};
use crate::timestamp::Timestamp;

/// The signs of life go when nobody has given any for as long as this.
const HEARTBEAT_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// A stream in which nothing happens and that nobody reads keeps its epoch and
/// its numbers this long.
const HEAD_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// How a goodbye is written in the place of a counter.
const LEFT: &str = "left";

/// What [`BEAT`] answers: all signs, and `TIME`.
pub(super) type RawPulse = (HashMap<String, String>, (u64, u64));
/// What [`ADOPT`] and [`OWNED`] answer: where to go on, logins, and how many
/// were left behind.
pub(super) type RawBatch = (String, Vec<(String, RawFields, RawIdentity)>, usize);
/// What [`EVENTS`] answers: epoch, oldest, newest, entries, and for each of their
/// logins that has a record its format and sealed terms.
pub(super) type RawEvents =
    (String, u64, u64, Vec<(String, HashMap<String, Vec<u8>>)>, Vec<(String, u64, Option<Vec<u8>>)>);

impl Calls {
    pub(super) fn beat(incarnation: &Incarnation) -> Call {
        Call::new(&BEAT).key(HEARTBEATS.to_owned()).arg(incarnation.0.as_str()).arg(millis(HEARTBEAT_RETENTION))
    }

    pub(super) fn leave(incarnation: &Incarnation) -> Call {
        Call::new(&LEAVE).key(HEARTBEATS.to_owned()).arg(incarnation.0.as_str()).arg(millis(HEARTBEAT_RETENTION))
    }

    pub(super) fn bury(incarnation: &Incarnation) -> Cmd {
        let mut forget = cmd("HDEL");
        forget.arg(HEARTBEATS).arg(incarnation.0.as_str());
        forget
    }

    pub(super) fn adopt(
        &self,
        tenant: &TenantId,
        (from, to): (&Incarnation, &Incarnation),
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Call {
        let names = self.names(tenant);
        Call::new(&ADOPT)
            .key(names.owned(from))
            .key(names.owned(to))
            .arg(now.as_millis())
            .arg(from.0.as_str())
            .arg(to.0.as_str())
            .arg(begin(after))
            .arg(limit)
            .arg(names.logins())
            .arg(names.identities())
            .arg(self.formats().oldest())
            .arg(self.formats().newest())
            .arg(millis(INDEX_RETENTION + CLEAN_UP_AFTER))
            .arg(names.channel())
            .arg(self.writer())
            .arg(self.openable())
    }

    pub(super) fn owned(
        &self,
        tenant: &TenantId,
        owner: &Incarnation,
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Call {
        let names = self.names(tenant);
        Call::new(&OWNED)
            .key(names.owned(owner))
            .arg(now.as_millis())
            .arg(owner.0.as_str())
            .arg(begin(after))
            .arg(limit)
            .arg(names.logins())
            .arg(names.identities())
    }

    pub(super) fn events(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<Call, StoreError> {
        let names = self.names(tenant);
        let call = Call::new(&EVENTS)
            .key(names.stream_head())
            .key(names.stream_entries())
            .arg(now.as_millis())
            .arg(after)
            .arg(limit)
            .arg(random_epoch()?)
            .arg(millis(OUTCOME_RETENTION))
            .arg(millis(HEAD_RETENTION))
            .arg(names.logins());
        Ok(call)
    }

    pub(super) fn new_epoch(&self, tenant: &TenantId, lost: &Position, now: Timestamp) -> Result<Call, StoreError> {
        let names = self.names(tenant);
        let call = Call::new(&NEW_EPOCH)
            .key(names.stream_head())
            .key(names.stream_entries())
            .arg(&lost.epoch)
            .arg(random_epoch()?)
            .arg(lost.number)
            .arg(millis(HEAD_RETENTION))
            .arg(now.as_millis());
        Ok(call)
    }

    pub(super) fn head(&self, tenant: &TenantId) -> Cmd {
        let mut read = cmd("HMGET");
        read.arg(self.names(tenant).stream_head()).arg(&HEAD_FIELDS);
        read
    }

    /// What a script needs in order to append to the stream: the last two keys,
    /// and four arguments.
    pub(super) fn with_stream(call: Call, names: &Names) -> Result<Call, StoreError> {
        let call = call
            .key(names.stream_head())
            .key(names.stream_entries())
            .arg(random_epoch()?)
            .arg(millis(OUTCOME_RETENTION))
            .arg(millis(OUTCOME_RETENTION + CLEAN_UP_AFTER))
            .arg(millis(HEAD_RETENTION));
        Ok(call)
    }
}

/// Reads what [`Calls::beat`] brought. A sign that is none is left out.
pub(super) fn pulse((signs, (seconds, micros)): RawPulse) -> Pulse {
    let sign = |text: &str| match text {
        LEFT => Some(Sign::Left),
        counter => counter.parse().ok().map(Sign::Beating),
    };
    let signs = signs.into_iter().filter_map(|(who, text)| Some((Incarnation(who), sign(&text)?))).collect();
    let time = Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(micros / 1000));
    Pulse { signs, time }
}

impl Calls {
    /// Reads what [`Calls::events`] brought.
    pub(super) fn open_events(
        &self,
        tenant: &TenantId,
        (epoch, oldest, newest, entries, terms): RawEvents,
    ) -> Result<Events, StoreError> {
        let mut opened = HashMap::new();
        for (login, format, sealed) in terms {
            let login = LoginId::parse(&login).map_err(|_| MALFORMED)?;
            let terms = self.sealer(tenant, &login).open_terms(format, sealed.as_deref()).map(Arc::new);
            opened.insert(login, terms);
        }
        let event = |(id, fields): (String, _)| event(&id, &Fields(fields), &opened);
        Ok(Events { epoch, oldest, newest, entries: entries.into_iter().map(event).collect::<Result<_, _>>()? })
    }
}

fn event(
    id: &str,
    fields: &Fields,
    terms: &HashMap<LoginId, Result<Arc<Terms>, StoreError>>,
) -> Result<LoginEvent, StoreError> {
    let login = LoginId::parse(fields.text("login")?).map_err(|_| MALFORMED)?;
    let what = match (terms.get(&login), fields.moment()) {
        (None, _) => Happened::Withdrawn,
        (Some(Ok(terms)), Ok(moment)) => Happened::Changed { moment, terms: Arc::clone(terms) },
        (Some(_), _) => Happened::Foreign,
    };
    Ok(LoginEvent {
        number: id.strip_suffix("-0").and_then(|number| number.parse().ok()).ok_or(MALFORMED)?,
        version: fields.number("version")?,
        at: fields.time("at")?,
        login,
        what,
    })
}

fn begin(after: Option<&LoginId>) -> String {
    after.map_or_else(|| "-".to_owned(), |login| format!("({login}"))
}

const MALFORMED: StoreError = StoreError::Unreadable("an entry of the stream is malformed");
