//! What every answer means, and that no poll is ever early.

mod answers;
mod polls;
