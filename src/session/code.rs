//! Whether the code that the person reads out has been typed, and how often
//! it was typed wrong.

use super::{CODE_TRIES, CodeMode};
use crate::phone::BindingCode;

/// Whether the code that the person reads out has been typed.
#[derive(Clone, Debug, PartialEq)]
pub enum CodeCheck {
    /// This login does not ask for one.
    NotAsked,
    /// Not yet typed right.
    Open {
        /// Wrong tries so far.
        tries: u8,
        /// The newest wrong one: typing it again is not another try.
        last_wrong: Option<BindingCode>,
    },
    /// Typed right.
    Matched,
}

impl CodeCheck {
    /// The state in which a login of that mode begins.
    #[must_use]
    pub const fn for_mode(mode: CodeMode) -> Self {
        match mode {
            CodeMode::ReadBack => Self::Open { tries: 0, last_wrong: None },
            CodeMode::ReadOut | CodeMode::Display => Self::NotAsked,
        }
    }

    /// What a typed code makes of it; `None` when none is asked for.
    pub(super) fn typed(&self, typed: &BindingCode, code: &BindingCode) -> Option<Typed> {
        Some(match self {
            Self::NotAsked => return None,
            Self::Matched => Typed::Stands(Self::Matched),
            Self::Open { .. } if typed == code => Typed::Stands(Self::Matched),
            Self::Open { last_wrong: Some(wrong), .. } if wrong == typed => Typed::Stands(self.clone()),
            Self::Open { tries, .. } if tries + 1 >= CODE_TRIES => Typed::Exhausted,
            Self::Open { tries, .. } => Typed::Stands(Self::Open { tries: tries + 1, last_wrong: Some(typed.clone()) }),
        })
    }

    pub(super) const fn withholds(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// What follows from a typed code.
pub(super) enum Typed {
    /// The login goes on like this.
    Stands(CodeCheck),
    /// That was the last try.
    Exhausted,
}
