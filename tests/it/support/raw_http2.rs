//! A peer that speaks HTTP/2 frame by frame, well or badly.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Setting 4: how much may be sent on a stream before more is asked for.
const INITIAL_WINDOW_SIZE: u16 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the other side has said.
#[derive(Default)]
struct Heard {
    goaway: Option<u32>,
    resets: HashMap<u32, u32>,
    answered: HashMap<u32, Vec<u8>>,
    pongs: usize,
    is_closed: bool,
}

/// A connection. It answers no ping; what comes is read in the background.
pub(crate) struct RawHttp2 {
    line: OwnedWriteHalf,
    heard: Arc<Mutex<Heard>>,
    _reading: JoinSet<()>,
}

impl RawHttp2 {
    /// Says nothing yet.
    pub(crate) async fn silent(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let (reader, line) = stream.into_split();
        let heard = Arc::<Mutex<Heard>>::default();
        let mut reading = JoinSet::new();
        reading.spawn(listen(reader, Arc::clone(&heard)));
        Self { line, heard, _reading: reading }
    }

    /// Begins as it should.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::with_settings(to, &[]).await
    }

    /// Lets nobody send it anything.
    pub(crate) async fn without_window(to: SocketAddr) -> Self {
        let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
        Self::with_settings(to, &setting).await
    }

    async fn with_settings(to: SocketAddr, settings: &[u8]) -> Self {
        let mut peer = Self::silent(to).await;
        peer.say(PREFACE).await;
        peer.say(&frame(SETTINGS, 0, 0, settings)).await;
        peer.say(&frame(SETTINGS, ACK, 0, &[])).await;
        peer
    }

    /// Whether it could be said.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> bool {
        self.line.write_all(bytes).await.is_ok()
    }

    /// Waits until everything said so far has been taken notice of.
    pub(crate) async fn is_heard(&mut self) -> bool {
        let before = self.heard().pongs;
        if !self.say(&frame(PING, 0, 0, &[7; 8])).await {
            return false;
        }
        super::eventually::eventually("an answer to a ping", async || {
            let heard = self.heard();
            (heard.is_closed || heard.pongs > before).then_some(())
        })
        .await;
        !self.is_closed()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.heard().is_closed
    }

    /// Waits for the end of the connection; the error of the GOAWAY before it, if
    /// there was one.
    pub(crate) async fn closed(&self) -> Option<u32> {
        super::eventually::eventually("the connection ends", async || self.is_closed().then_some(())).await;
        self.heard().goaway
    }

    /// The error that the stream was reset with.
    pub(crate) fn reset(&self, stream: u32) -> Option<u32> {
        self.heard().resets.get(&stream).copied()
    }

    /// How many streams were answered.
    pub(crate) fn answered(&self) -> usize {
        self.heard().answered.len()
    }

    /// The first bytes of the headers that the stream was answered with.
    pub(crate) fn answer(&self, stream: u32) -> Option<Vec<u8>> {
        self.heard().answered.get(&stream).cloned()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(mut reader: OwnedReadHalf, heard: Arc<Mutex<Heard>>) {
    let heard = || heard.lock().unwrap_or_else(PoisonError::into_inner);
    let mut head = [0; 9];
    while reader.read_exact(&mut head).await.is_ok() {
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)];
        if reader.read_exact(&mut payload).await.is_err() {
            break;
        }
        let stream = u32::from_be_bytes(stream);
        let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes"));
        match kind {
            GOAWAY => heard().goaway = Some(word(4)),
            RST_STREAM => drop(heard().resets.insert(stream, word(0))),
            HEADERS => drop(heard().answered.entry(stream).or_insert(payload)),
            PING if flags & ACK != 0 => heard().pongs += 1,
            _ => {}
        }
    }
    heard().is_closed = true;
}

/// Any frame, right or wrong.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a call, in the encoding of RFC 7541 without its table.
pub(crate) fn call(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    // :method POST and :scheme http, by their places in the static table.
    let mut block = vec![0x83, 0x86];
    let always = [(":path", path), (":authority", "gateway"), ("content-type", "application/grpc"), ("te", "trailers")];
    for (name, value) in always.iter().chain(more) {
        block.push(0);
        for text in [name, value] {
            block.extend(length(text.len()));
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits, RFC 7541 section 5.1.
fn length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else { return vec![u8::try_from(length).expect("short")] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes
}
