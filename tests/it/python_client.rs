//! A client of another make tells whole stories: tests/grpc-python/client.py.

use serde_json::Value;

use crate::support::configuration::{Configuration, api_key, other_api_key};
use crate::support::gateway::Gateway;
use crate::support::processes::Process;
use crate::support::simulators::Vipps;
use crate::support::tools::python;

#[tokio::test]
async fn a_python_client_finds_what_the_api_promises() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer())).await;
    let (key, other) = (api_key(), other_api_key());
    let mut command = python("tests/grpc-python/client.py");
    command
        .env_remove("GATEWAY_CA_FILE")
        .env("GATEWAY_ADDRESS", gateway.grpc.to_string())
        .env("GATEWAY_API_KEY", key.expose())
        .env("GATEWAY_OTHER_API_KEY", other.expose())
        // A magic number: approves on the third poll.
        .env("APPROVING_NUMBER", "+4790000001")
        .env("SILENT_NUMBER", "+4712345678");
    let ended = Process::start(command).expect("Python runs").ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let checks: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert!(checks.len() >= 7 && checks.iter().all(|check| check["ok"] == true), "{checks:?}");
}
