//! What one connection may make us hold or do: every bound that HTTP offers.

use std::time::Duration;

use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;

use crate::config::Grpc;

/// Until a connection has said that it speaks HTTP; of HTTP/1, until the head of a
/// request is there.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(10);
/// Metadata of one call, altogether, as HTTP/2 counts it: names, values and 32
/// bytes for each. A call has a few hundred; a signed agent token a few thousand.
/// The library derives from it how many CONTINUATION frames a head may have
/// (CVE-2024-27316).
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// The least that the protocol allows: requests are small.
const MAX_FRAME_BYTES: u32 = 16 * 1024;
/// What may come of one call before it is read. The largest request needs two
/// windows; all others fit into one.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// And of all calls of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// What is written for one call ahead of a peer that does not read.
const MAX_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Calls that were reset before we have looked at them (CVE-2023-44487). Beyond
/// that the connection is sent away.
const MAX_UNSEEN_RESETS: usize = 20;
/// Calls that we have reset because the peer broke the protocol
/// (CVE-2025-8671). Beyond that the connection is sent away.
const MAX_OWN_RESETS: usize = 128;
/// Calls that a peer gave up before they were answered, over those that he waited
/// for. Beyond that the connection is cut: it makes us work and wants nothing.
pub(super) const MAX_ABANDONED: u32 = 1000;
/// Header lines of an HTTP/1 request, and the bytes that are read ahead of it.
const MAX_HEADER_LINES: usize = 64;
const HTTP1_BUFFER_BYTES: usize = 64 * 1024;

/// A builder of connections that keeps all of them.
pub(super) fn within_bounds<E>(executor: E, settings: &Grpc) -> Builder<E> {
    let mut builder = Builder::new(executor);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_concurrent_streams)
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .max_local_error_reset_streams(MAX_OWN_RESETS);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE_LIMIT)
        .max_headers(MAX_HEADER_LINES)
        .max_buf_size(HTTP1_BUFFER_BYTES);
    builder
}
