//! Lines for people: colour on a terminal, plain text in a pipe, no cursor tricks.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// Writes lines to standard output.
#[derive(Clone, Copy)]
pub(super) struct Terminal {
    colour: bool,
}

/// How a piece of text stands out.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Strong,
    Dim,
    Good,
    Bad,
    Warn,
    Accent,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Strong => "1",
            Self::Dim => "2",
            Self::Good => "1;32",
            Self::Bad => "1;31",
            Self::Warn => "33",
            Self::Accent => "36",
        }
    }
}

impl Terminal {
    pub(super) fn stdout() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour }
    }

    /// The text, coloured where that is wanted.
    pub(super) fn paint(self, style: Style, text: impl Display) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_string() }
    }

    /// One line, at once, also into a pipe. A reader that has gone is no reason
    /// to fail: the command's exit code still tells the outcome.
    pub(super) fn line(self, text: impl Display) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{text}");
        let _ = stdout.flush();
    }
}
