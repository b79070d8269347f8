//! What is wrong with a configuration, and where.
//!
//! Everything here is written for the person who has to correct the file. A
//! mistake names the place, the setting and what would be right; it never
//! repeats a value, because a secret may have landed under the wrong key.

use std::fmt;
use std::path::PathBuf;

/// Where a value or a mistake stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A line of the file, counted from 1.
    Line(usize),
    /// The environment variable of that name.
    Variable(String),
}

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where to correct it.
    pub place: Place,
    /// The setting, as `tenants[0].provider.client_id`; empty when it is none.
    pub key: String,
    /// What is wrong and what would be right; continues the sentence that the
    /// key begins.
    pub problem: String,
}

/// Everything that is wrong with one configuration, in the order of the file,
/// then of the variables. Displays one line for each mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    file: PathBuf,
    list: Vec<Mistake>,
}

impl Mistakes {
    pub(super) fn new(file: PathBuf, mut list: Vec<Mistake>) -> Self {
        list.sort();
        Self { file, list }
    }

    /// The mistakes; at least one.
    #[must_use]
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match &mistake.place {
                Place::File => write!(f, "{}: ", self.file.display())?,
                Place::Line(line) => write!(f, "{}:{line}: ", self.file.display())?,
                Place::Variable(name) => write!(f, "{name}: ")?,
            }
            if !mistake.key.is_empty() {
                write!(f, "{} ", mistake.key)?;
            }
            f.write_str(&mistake.problem)?;
        }
        Ok(())
    }
}
