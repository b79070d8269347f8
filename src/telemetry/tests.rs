use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use tracing_subscriber::filter::LevelFilter;

use super::{Metrics, ProviderOperation, StoreOperation, TelemetryError, ceiling, init, log_panics};
use crate::ciba::PollAnswer;
use crate::config::LogFormat;
use crate::session::{Channel, FailureReason, Outcome};

fn page(metrics: &Metrics) -> String {
    metrics.encode().unwrap()
}

/// SR42, SR44.
#[test]
fn logins_are_counted_by_channel_outcome_and_reason() {
    let metrics = Metrics::new();
    metrics.login_started(Channel::CallCentre);
    metrics.login_ended(Channel::CallCentre, &Outcome::Denied);
    metrics.login_ended(Channel::TvBox, &Outcome::Failed(FailureReason::PhoneMismatch));
    metrics.set_live_logins(7);

    let page = page(&metrics);
    assert!(page.contains(r#"ciba_gateway_logins_started_total{channel="call-centre"} 1"#), "{page}");
    assert!(page.contains(r#"logins_ended_total{channel="call-centre",outcome="denied",reason=""} 1"#), "{page}");
    assert!(
        page.contains(r#"logins_ended_total{channel="tv-box",outcome="failed",reason="phone_mismatch"} 1"#),
        "{page}"
    );
    assert!(page.contains("ciba_gateway_live_logins 7"), "{page}");
}

#[test]
fn what_the_audit_log_lost_is_counted() {
    let metrics = Metrics::new();
    metrics.audit_lost();
    metrics.set_audit_failing(true);
    let page = page(&metrics);
    assert!(page.contains("ciba_gateway_audit_records_lost_total 1"), "{page}");
    assert!(page.contains("ciba_gateway_audit_failing 1"), "{page}");
}

#[test]
fn provider_requests_are_timed_by_class_of_status() {
    let metrics = Metrics::new();
    metrics.provider_request(ProviderOperation::Poll, Some(StatusCode::BAD_REQUEST), Duration::from_millis(30));
    metrics.provider_request(ProviderOperation::Userinfo, None, Duration::from_secs(10));
    metrics.polled(&PollAnswer::SlowDown { retry_after: None });

    let page = page(&metrics);
    assert!(page.contains(r#"provider_request_seconds_count{operation="poll",status="4xx"} 1"#), "{page}");
    assert!(page.contains(r#"provider_request_seconds_bucket{le="0.05",operation="poll",status="4xx"} 1"#), "{page}");
    assert!(page.contains(r#"provider_request_seconds_count{operation="userinfo",status="none"} 1"#), "{page}");
    assert!(page.contains(r#"ciba_gateway_polls_total{result="slow_down"} 1"#), "{page}");
}

#[test]
fn calls_and_store_errors_are_counted() {
    let metrics = Metrics::new();
    metrics.grpc_call("StartLogin", tonic::Code::ResourceExhausted);
    metrics.store_failed(StoreOperation::Save);

    let page = page(&metrics);
    assert!(page.contains(r#"grpc_calls_total{method="StartLogin",code="ResourceExhausted"} 1"#), "{page}");
    assert!(page.contains(r#"store_errors_total{operation="save"} 1"#), "{page}");
}

#[test]
fn a_watch_counts_while_it_is_open() {
    let metrics = Metrics::new();
    let (first, second) = (metrics.watch_opened(), metrics.watch_opened());
    assert!(page(&metrics).contains("open_watches 2"));
    drop(first);
    assert!(page(&metrics).contains("open_watches 1"));
    drop(second);
    assert!(page(&metrics).contains("open_watches 0"));
}

#[test]
fn a_filter_that_is_none_is_refused() {
    assert!(matches!(init(LogFormat::Text, "ciba_gateway=loud"), Err(TelemetryError::Filter(_))));
}

#[test]
fn no_library_logs_what_goes_over_the_wire() {
    let ceiling = ceiling();
    assert!(!ceiling.would_enable("h2::codec", &tracing::Level::TRACE));
    assert!(ceiling.would_enable("h2::codec", &tracing::Level::DEBUG));
    assert!(ceiling.would_enable("ciba_gateway::poller", &tracing::Level::TRACE));
    assert_eq!(ceiling.default_level(), Some(LevelFilter::DEBUG));
}

/// SR38: what a panic says may hold anything.
#[test]
fn a_panic_is_logged_by_its_place_alone() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || written.clone()).finish();
    let before = std::panic::take_hook();
    log_panics();
    let ended =
        tracing::subscriber::with_default(subscriber, || std::panic::catch_unwind(|| panic!("spilled +4791234567")));
    std::panic::set_hook(before);
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(ended.is_err() && logged.contains("panicked") && logged.contains("src/telemetry/tests.rs"), "{logged}");
    assert!(!logged.contains("spilled") && !logged.contains("1234567"), "{logged}");
}
