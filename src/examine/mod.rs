//! Floor 3, offline: what can be said from a bundle alone. An examiner reads coverage and items and says something about them; it never talks to
//! AWS, never adds evidence, and never runs ahead of it: *can show* is not *has happened*.
//!
//! Start at [`techniques`]: which attack techniques the bundle can show, rule out, or not decide.

mod table;
pub mod techniques;

pub use table::{Absence, COMING, Source, TECHNIQUES, Technique};
pub use techniques::{Techniques, examine};
