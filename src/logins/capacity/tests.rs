use super::*;
use crate::logins::CallingAgent;

const LIMITS: Limits = Limits {
    starts: 8,
    live_logins_per_tenant: 5,
    calls: 2,
    watches_per_agent: 1,
    watches_per_client: 2,
    watches_per_tenant: 3,
};

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

fn capacity(limits: Limits, tenants: &[&str]) -> Capacity {
    let tenants: Vec<_> = tenants.iter().map(|id| tenant(id)).collect();
    Capacity::new(limits, tenants.iter())
}

fn caller(of: &str, client: &str, agent: Option<&str>) -> Caller {
    Caller {
        tenant: tenant(of),
        client: ClientId::new(client).unwrap(),
        channels: [].into(),
        agent: agent.map(|agent| CallingAgent { id: AgentId::new(agent).unwrap(), is_proven: false }),
        must_prove_agent: false,
        roles: [].into(),
    }
}

fn fill<T>(take: impl Fn() -> Result<T, Error>) -> (Vec<T>, &'static str) {
    let mut taken = Vec::new();
    loop {
        match take() {
            Ok(place) => taken.push(place),
            Err(Error::Overloaded(load)) => return (taken, load.name()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// SR35: each tenant has places that no other can take.
#[test]
fn a_tenant_that_starts_without_end_leaves_the_others_theirs() {
    let capacity = capacity(LIMITS, &["loud", "quiet"]);
    let (loud, refused) = fill(|| capacity.start(&tenant("loud"), 0));
    assert_eq!((loud.len(), refused), (6, "starts"), "its own two, and all that are nobody's");
    let (quiet, _) = fill(|| capacity.start(&tenant("quiet"), 0));
    assert_eq!(quiet.len(), 2);
    drop(loud);
    let (again, _) = fill(|| capacity.start(&tenant("quiet"), 0));
    assert_eq!(again.len(), 4, "what others have left is free for all");
}

#[test]
fn each_tenant_has_a_place_however_many_there_are() {
    let capacity = capacity(Limits { starts: 1, ..LIMITS }, &["a", "b", "c"]);
    for id in ["a", "b", "c"] {
        assert_eq!(fill(|| capacity.start(&tenant(id), 0)).0.len(), 1, "{id}");
    }
}

/// SR35.
#[test]
fn a_tenant_with_many_live_logins_starts_no_more() {
    let capacity = capacity(LIMITS, &["a"]);
    assert!(capacity.start(&tenant("a"), 4).is_ok());
    let refused = capacity.start(&tenant("a"), 5).err();
    assert!(matches!(refused, Some(Error::Overloaded(Load::LiveLogins))), "{refused:?}");
}

/// SR35.
#[test]
fn calls_under_way_are_counted() {
    let capacity = capacity(LIMITS, &["a"]);
    let (calls, refused) = fill(|| capacity.call());
    assert_eq!((calls.len(), refused), (2, "calls"));
    drop(calls);
    assert!(capacity.call().is_ok());
}

/// SR35: watchers of an agent, of a client and of a tenant.
#[test]
fn watches_are_counted_by_agent_client_and_tenant() {
    let capacity = capacity(LIMITS, &["a", "b"]);
    let (ada, refused) = fill(|| capacity.watch(&caller("a", "desk", Some("ada"))));
    assert_eq!((ada.len(), refused), (1, "agent-watches"));
    let (desk, refused) = fill(|| capacity.watch(&caller("a", "desk", None)));
    assert_eq!((desk.len(), refused), (1, "client-watches"));
    let (kiosk, refused) = fill(|| capacity.watch(&caller("a", "kiosk", None)));
    assert_eq!((kiosk.len(), refused), (1, "tenant-watches"));
    assert_eq!(fill(|| capacity.watch(&caller("b", "desk", Some("ada")))).0.len(), 1, "another's do not count");

    drop((ada, desk, kiosk));
    assert!(capacity.watches.lock().keys().all(|who| who.tenant == tenant("b")), "nothing is left behind");
}
