//! What `CheckPhone` asks.

use super::super::status::CallError;
use super::super::v1;
use super::place::{Place, place};
use super::{Violations, phone_number};
use crate::logins::{Caller, CheckPhone, Tenant};

pub(in crate::grpc) fn check_phone(
    request: &v1::CheckPhoneRequest,
    caller: &Caller,
    tenant: &Tenant,
) -> Result<CheckPhone, CallError> {
    let mut wrong = Violations::default();
    let phone = phone_number(&request.phone_number, tenant, &mut wrong);
    let names = [request.agent_id.as_str(), &request.terminal_id, &request.call_id];
    let Place { channel, agent, terminal, call } = place(request.channel, names, caller, &mut wrong);
    wrong.finish()?;
    let (Some(phone), Some(channel)) = (phone, channel) else {
        return Err(CallError::field("request", "is incomplete"));
    };
    Ok(CheckPhone { phone, channel, agent, terminal, call })
}
