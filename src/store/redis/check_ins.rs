//! Check-ins in Redis: what is sent and how answers are read.
//!
//! A check-in's name is a keyed hash of its token, so that the same one from a
//! repeated message finds itself. The token is sealed.

use ::redis::cmd;
use async_trait::async_trait;

use super::calls::{CLEAN_UP_AFTER, Calls, millis};
use super::script::{Call, KEEP_CHECK_IN, PUT_CHECK_IN_BACK, TAKE_CHECK_IN};
use super::{RedisStore, UNKNOWN_ANSWER};
use crate::session::{CheckInId, CustomerToken, TenantId};
use crate::shop_qr::ShopQrId;
use crate::store::check_ins::{CHECK_IN_LIFE, CHECK_INS_KEPT, CheckIn, CheckInStore, Taken, Waiting};
use crate::store::{Asker, StoreError};
use crate::timestamp::Timestamp;

/// How long after its scan a check-in is known.
const KEPT: std::time::Duration = CHECK_IN_LIFE.saturating_mul(2);
const BLOB: &str = "check-in token";

/// What [`TAKE_CHECK_IN`] answers.
type RawTaken = (String, String, Vec<u8>);

impl Calls {
    fn keep_check_in(
        &self,
        tenant: &TenantId,
        check_in: &CheckIn,
        now: Timestamp,
    ) -> Result<(CheckInId, Call), StoreError> {
        let names = self.names(tenant);
        let name = |names: &super::names::Names| names.hash().digest("check-in", &[check_in.token.expose().as_bytes()]);
        let id = name(&names);
        let other = self.other_names(tenant).map_or_else(|| names.nothing(), |other| names.check_in(&name(&other)));
        let sealed = self.item_sealer(tenant, &id).seal_text(BLOB, check_in.token.expose())?;
        let call = Call::new(&KEEP_CHECK_IN)
            .key(names.check_in(&id))
            .key(names.check_ins())
            .key(other)
            .arg(&id)
            .arg(check_in.at.as_millis())
            .arg(check_in.qr.as_str())
            .arg(self.formats().newest())
            .arg(sealed)
            .arg(millis(check_in.at.plus(KEPT).since(now) + CLEAN_UP_AFTER))
            .arg(now.minus(CHECK_IN_LIFE).as_millis())
            .arg(CHECK_INS_KEPT)
            .arg(names.check_in(""))
            .arg(millis(KEPT + CLEAN_UP_AFTER))
            .arg(names.channel())
            .arg(self.writer());
        Ok((CheckInId::parse(&id).map_err(|_| UNKNOWN_ANSWER)?, call))
    }

    fn take_check_in(&self, asker: Asker<'_>, id: &CheckInId, now: Timestamp) -> Call {
        let names = self.names(asker.tenant);
        Call::new(&TAKE_CHECK_IN)
            .key(names.check_in(id.as_str()))
            .key(names.check_ins())
            .arg(id.as_str())
            .arg(names.request_digest(asker))
            .arg(now.minus(CHECK_IN_LIFE).as_millis())
            .arg(names.channel())
            .arg(self.writer())
    }

    fn put_check_in_back(&self, asker: Asker<'_>, id: &CheckInId) -> Call {
        let names = self.names(asker.tenant);
        Call::new(&PUT_CHECK_IN_BACK)
            .key(names.check_in(id.as_str()))
            .key(names.check_ins())
            .arg(id.as_str())
            .arg(names.request_digest(asker))
            .arg(millis(KEPT + CLEAN_UP_AFTER))
            .arg(names.channel())
            .arg(self.writer())
    }
}

#[async_trait]
impl CheckInStore for RedisStore {
    async fn keep_check_in(
        &self,
        tenant: &TenantId,
        check_in: &CheckIn,
        now: Timestamp,
    ) -> Result<CheckInId, StoreError> {
        let (id, call) = self.calls.keep_check_in(tenant, check_in, now)?;
        let known: String = self.link.call(&call).await?;
        // Under the other hash key it may have another name, which is the one to use.
        if known.is_empty() { Ok(id) } else { CheckInId::parse(&known).map_err(|_| UNKNOWN_ANSWER) }
    }

    async fn check_ins(&self, tenant: &TenantId, now: Timestamp) -> Result<Vec<Waiting>, StoreError> {
        let mut command = cmd("ZRANGE");
        let since = format!("({}", now.minus(CHECK_IN_LIFE).as_millis());
        command.arg(self.calls.names(tenant).check_ins()).arg(since).arg("+inf").arg("BYSCORE").arg("WITHSCORES");
        let found: Vec<(String, u64)> = self.link.command(&command).await?;
        found.into_iter().map(|(member, at)| waiting(&member, at).ok_or(UNKNOWN_ANSWER)).collect()
    }

    async fn take_check_in(&self, asker: Asker<'_>, id: &CheckInId, now: Timestamp) -> Result<Taken, StoreError> {
        let (answer, format, sealed): RawTaken = self.link.call(&self.calls.take_check_in(asker, id, now)).await?;
        match answer.as_str() {
            "taken" => {
                let format = self.calls.formats().read(format.parse().map_err(|_| UNKNOWN_ANSWER)?)?;
                let text = self.calls.item_sealer(asker.tenant, id.as_str()).open_text(format, BLOB, &sealed)?;
                CustomerToken::new(text.as_str()).map(Taken::Token).map_err(|_| UNKNOWN_ANSWER)
            }
            "used" => Ok(Taken::Used),
            "expired" => Ok(Taken::Expired),
            "unknown" => Ok(Taken::Unknown),
            _ => Err(UNKNOWN_ANSWER),
        }
    }

    async fn put_check_in_back(&self, asker: Asker<'_>, id: &CheckInId, _now: Timestamp) -> Result<(), StoreError> {
        self.link.call(&self.calls.put_check_in_back(asker, id)).await
    }
}

/// A member of the index: name and code.
fn waiting(member: &str, at: u64) -> Option<Waiting> {
    let (id, qr) = member.split_once(' ')?;
    Some(Waiting { id: CheckInId::parse(id).ok()?, qr: ShopQrId::new(qr).ok()?, at: Timestamp::from_millis(at) })
}
