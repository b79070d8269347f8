//! Where lines go: a file that others may rotate, and standard output.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// Readable for a collector of the same group; the numbers in it are masked.
const MODE: u32 = 0o640;

/// Lines of which some may be written, and one in part.
#[derive(Default)]
pub(super) struct Unwritten {
    bytes: Vec<u8>,
    done: usize,
}

impl Unwritten {
    pub(super) fn push(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn lines(&self) -> usize {
        self.rest().iter().filter(|byte| **byte == b'\n').count()
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.done..]
    }

    /// Everything, as text that is written now.
    #[cfg(test)]
    pub(super) fn take(&mut self) -> String {
        let text = String::from_utf8_lossy(self.rest()).into_owned();
        self.clear();
        text
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.done = 0;
    }

    /// The line that is written in part is written whole, to another file.
    fn back_to_line(&mut self) {
        let written = &self.bytes[..self.done];
        self.done = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    }

    fn write_to(&mut self, mut sink: impl Write) -> io::Result<()> {
        while !self.rest().is_empty() {
            match sink.write(self.rest()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Something that takes lines.
pub(super) trait Output: Send {
    /// For the gateway's own log.
    fn name(&self) -> String;

    /// Writes all of it, durably where that can be had; what could not be written
    /// stays in `unwritten`.
    fn write(&mut self, unwritten: &mut Unwritten) -> io::Result<()>;
}

/// A file that is only appended to. When it was moved away or removed, as by
/// rotation, the next line begins another one in its place.
pub(super) struct FileOutput {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: File,
    identity: (u64, u64),
    is_plain: bool,
}

impl FileOutput {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// The file that is at the path now, and whether it is another one than before.
    fn opened(&mut self) -> io::Result<(&Open, bool)> {
        let present = std::fs::metadata(&self.path).ok().as_ref().map(identity);
        let is_same = self.open.as_ref().is_some_and(|open| Some(open.identity) == present);
        let open = match self.open.take() {
            Some(open) if is_same => open,
            Some(_) | None => self.reopen()?,
        };
        Ok((self.open.insert(open), !is_same))
    }

    fn reopen(&self) -> io::Result<Open> {
        let mut file = OpenOptions::new().append(true).read(true).create(true).mode(MODE).open(&self.path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && is_torn(&file, metadata.len())? {
            file.write_all(b"\n")?;
        }
        Ok(Open { file, identity: identity(&metadata), is_plain: metadata.is_file() })
    }
}

/// A run that crashed may have left half a line.
fn is_torn(file: &File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else {
        return Ok(false);
    };
    let mut byte = [0_u8];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Output for FileOutput {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn write(&mut self, unwritten: &mut Unwritten) -> io::Result<()> {
        let (open, is_another) = self.opened()?;
        if is_another {
            unwritten.back_to_line();
        }
        unwritten.write_to(&open.file)?;
        // Written twice they would look like a forgery: what the disk does not
        // confirm is told as a failure, but not repeated.
        unwritten.clear();
        if open.is_plain { open.file.sync_data() } else { Ok(()) }
    }
}

/// For a collector that reads what programs print.
pub(super) struct StandardOutput;

impl Output for StandardOutput {
    fn name(&self) -> String {
        "standard output".to_owned()
    }

    fn write(&mut self, unwritten: &mut Unwritten) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        unwritten.write_to(&mut stdout)?;
        stdout.flush()?;
        unwritten.clear();
        Ok(())
    }
}
