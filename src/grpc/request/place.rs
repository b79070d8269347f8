//! Where a start or a check is asked for, and by whom.

use super::{Violations, channel};
use crate::logins::Caller;
use crate::session::{AgentId, CallId, Channel, TerminalId};

/// What is named, as far as it is right.
pub(super) struct Place {
    pub(super) channel: Option<Channel>,
    pub(super) agent: Option<AgentId>,
    pub(super) terminal: Option<TerminalId>,
    pub(super) call: Option<CallId>,
}

/// A call centre has an agent, a till or box is a terminal; `names` are those of
/// agent, terminal and call.
pub(super) fn place(
    channel_value: i32,
    [agent_id, terminal_id, call_id]: [&str; 3],
    caller: &Caller,
    wrong: &mut Violations,
) -> Place {
    let channel = channel(channel_value, wrong);
    if channel.is_none() {
        wrong.add("channel", "must be one of CALL_CENTRE, POINT_OF_SALE, TV_BOX");
    }
    let agent = agent(agent_id, channel, caller, wrong);
    let terminal = wrong.optional("terminal_id", terminal_id, TerminalId::new);
    if matches!(channel, Some(Channel::PointOfSale | Channel::TvBox)) && terminal_id.is_empty() {
        wrong.add("terminal_id", "is required for points of sale and TV boxes");
    }
    let call = wrong.optional("call_id", call_id, CallId::new);
    Place { channel, agent, terminal, call }
}

fn agent(agent_id: &str, channel: Option<Channel>, caller: &Caller, wrong: &mut Violations) -> Option<AgentId> {
    let named = wrong.optional("agent_id", agent_id, AgentId::new);
    if let (Some(named), Some(calling)) = (&named, caller.agent_id())
        && named != calling
    {
        wrong.add("agent_id", "must be the agent of the metadata ciba-agent-id");
    }
    let agent = named.or_else(|| caller.agent_id().cloned());
    if channel == Some(Channel::CallCentre) && agent.is_none() && agent_id.is_empty() {
        wrong.add("agent_id", "is required for call centres");
    }
    agent
}
