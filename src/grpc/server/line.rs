//! The line to a peer, with an ear on what it says.
//!
//! HTTP/2 has frames that ask for nothing and cost the other side a turn each:
//! pings, settings, window updates, priorities, resets, data without data. Peers
//! need some of them for what they ask and what they are told. Whoever sends far
//! more than that is cut off here, because the HTTP library answers them for ever
//! (CVE-2019-9511 to 9518).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;

/// Frames that ask for nothing, before they have to be for something.
const IDLE_FRAMES: usize = 10_000;
/// Such frames that go with a call: its window updates, a reset.
const IDLE_FRAMES_PER_CALL: usize = 16;
/// Bytes that are sent to a peer for each such frame that he may answer with:
/// no message is shorter, and he updates two windows and measures the line.
const BYTES_PER_IDLE_FRAME: usize = 16;
/// What a ping and settings are answered with, which is not worth another frame.
const PONG_BYTES: usize = FRAME_HEADER + 8;
const SETTINGS_ACK_BYTES: usize = FRAME_HEADER;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
/// Of data and headers: the peer is done with the stream.
const END_STREAM: u8 = 1;

/// What is known of a peer while the connection is served.
#[derive(Default)]
pub(super) struct Heard {
    bytes: AtomicUsize,
    is_flood: AtomicBool,
}

impl Heard {
    /// Whether as much has come as HTTP/2 begins with.
    pub(super) fn has_begun(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= PREFACE.len()
    }

    /// Whether the peer was cut off for a flood.
    pub(super) fn is_flood(&self) -> bool {
        self.is_flood.load(Ordering::Relaxed)
    }
}

/// A connection that counts what its peer says.
pub(super) struct Line<C> {
    connection: C,
    heard: Arc<Heard>,
    said: usize,
    frames: Frames,
}

impl<C> Line<C> {
    pub(super) fn new(connection: C, heard: Arc<Heard>) -> Self {
        Self { connection, heard, said: 0, frames: Frames::default() }
    }

    fn count_said(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = written {
            self.said = self.said.saturating_add(*count);
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Line<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, buf);
        let heard = &buf.filled()[before..];
        self.heard.bytes.fetch_add(heard.len(), Ordering::Relaxed);
        self.frames.hear(heard);
        if self.frames.are_a_flood(self.said) {
            self.heard.is_flood.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other("a flood of frames that ask for nothing")));
        }
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Line<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(cx, buf);
        self.count_said(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write_vectored(cx, bufs);
        self.count_said(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

/// What a peer's bytes say, frame by frame. Knows no more of a frame than its
/// head; whether it is right is the library's to find out.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the preface that were right.
    preface: usize,
    /// It speaks something else.
    is_other: bool,
    head: [u8; FRAME_HEADER],
    head_bytes: usize,
    /// Of the frame's payload, still to come.
    rest: usize,
    calls: usize,
    idle: usize,
    /// What they were answered with.
    answered_bytes: usize,
}

impl Frames {
    fn hear(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while let Some(&byte) = bytes.first().filter(|_| !self.is_other) {
            if self.preface < PREFACE.len() {
                self.is_other = byte != PREFACE[self.preface];
                self.preface += 1;
                bytes = &bytes[1..];
            } else if self.rest > 0 {
                let skipped = self.rest.min(bytes.len());
                self.rest -= skipped;
                bytes = &bytes[skipped..];
            } else {
                self.head[self.head_bytes] = byte;
                self.head_bytes += 1;
                bytes = &bytes[1..];
                if self.head_bytes == FRAME_HEADER {
                    self.begin_frame();
                }
            }
        }
    }

    fn begin_frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.head_bytes = 0;
        self.rest = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS => self.calls += 1,
            DATA if self.rest > 0 || flags & END_STREAM != 0 => {}
            // Their number within one head is limited by the library.
            CONTINUATION => {}
            PING => {
                self.idle += 1;
                self.answered_bytes += PONG_BYTES;
            }
            SETTINGS => {
                self.idle += 1;
                self.answered_bytes += SETTINGS_ACK_BYTES;
            }
            _ => self.idle += 1,
        }
    }

    /// `said`: bytes that were sent to the peer.
    fn are_a_flood(&self, said: usize) -> bool {
        let told = said.saturating_sub(self.answered_bytes);
        let needed = IDLE_FRAMES_PER_CALL.saturating_mul(self.calls) + told / BYTES_PER_IDLE_FRAME;
        self.idle > IDLE_FRAMES.saturating_add(needed)
    }
}

#[cfg(test)]
mod tests;
