//! The file that names who and what is shut out.

use std::collections::HashMap;

use super::super::{Config, Mistakes};
use super::{Folder, LEAST, line, lines};
use crate::logins::{BlockList, Blocks};
use crate::phone::PhoneNumber;
use crate::session::{AgentId, ClientId, TenantId, TerminalId};

/// [`LEAST`] with this as its block list.
fn parse(list: &str) -> Result<Config, Mistakes> {
    let folder = Folder::new();
    folder.file("list.toml", list);
    folder.parse(&format!("[block_list]\nfile = \"list.toml\"\n{LEAST}"))
}

#[test]
fn names_are_shut_out_in_one_tenant_or_in_all() {
    let list = "numbers = [\"+47 91 23 45 67\", \"+4712345678\"]\n[[tenants]]\nid = \"bank\"\nclients = [\"desktop\"]\n\
                agents = [\"ada\"]\nterminals = [\"till-1\"]\n";
    let numbers = ["4791234567", "4712345678"].map(|number| PhoneNumber::from_msisdn(number).unwrap()).into();
    let bank = Blocks {
        clients: [ClientId::new("desktop").unwrap()].into(),
        agents: [AgentId::new("ada").unwrap()].into(),
        terminals: [TerminalId::new("till-1").unwrap()].into(),
        numbers: [].into(),
    };
    let all = Blocks { numbers, ..Blocks::default() };
    let expected = BlockList::new(all, HashMap::from([(TenantId::new("bank").unwrap(), bank)]));
    assert_eq!(parse(list).unwrap().block_list, expected);
}

/// SR38: a list prints no number.
#[test]
fn a_list_prints_masked() {
    let printed = format!("{:?}", parse("numbers = [\"+4791234567\"]").unwrap().block_list);
    assert!(printed.contains("…67") && !printed.contains("1234"), "{printed}");
}

/// SR1: an empty file is what is left of one that was cut off; a list of nobody says so.
#[test]
fn without_a_list_or_with_a_list_of_nobody_nobody_is_shut_out() {
    assert_eq!(super::parse(LEAST).unwrap().block_list, BlockList::default());
    assert_eq!(parse("# Nobody.\n").unwrap().block_list, BlockList::default());
    assert!(line(parse("")).contains("block_list.file names a file that is empty"));
}

#[test]
fn each_mistake_of_a_list_is_told_with_its_line_and_without_its_value() {
    let list = "numbers = [\"91234567\", \"+1 202 555 0123\"]\nagent = \"ada\"\n[[tenants]]\nid = \"bank\"\n\
                clients = [\"a client\"]\n[[tenants]]\nid = \"bank\"\n";
    let told = lines(parse(list));
    for (line, mistake) in [
        (1, "numbers[0] must be a phone number with its country's code"),
        (1, "numbers[1] must be a phone number with its country's code"),
        (2, "agent is not a setting; known here: agents, clients, numbers, tenants, terminals"),
        (5, "tenants[0].clients[0] must be 1 to 64 of letters"),
        (7, "tenants[1].id is taken already"),
    ] {
        let expected = format!("block_list.file names a file with a mistake: in line {line}: {mistake}");
        assert!(told.iter().any(|told| told.contains(&expected)), "no {expected} in {told:#?}");
    }
    let told = told.concat();
    assert!(!told.contains("91234567") && !told.contains("202"), "{told}");
    assert!(line(parse("numbers = [")).contains("in line 1"));
    assert!(line(parse("[[tenants]]\nid = \"bnak\"\n")).contains("one of its tenants is not configured"));
}
