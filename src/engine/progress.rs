//! What the engine tells while it works. Faces decide how it looks; nothing in a note is a secret.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A phase of the plan begins.
    Phase(&'static str),
    UnitStarted {
        unit: &'static str,
        title: &'static str,
    },
    UnitEnded {
        unit: &'static str,
        items: usize,
        gaps: usize,
    },
    /// A cell changed, or could not be changed: one line in words.
    Cell(String),
    /// Anything else worth a line.
    Said(String),
}

pub trait Progress: Send + Sync {
    fn note(&self, note: Note);
}

/// Tells nobody.
pub struct Silent;
impl Progress for Silent {
    fn note(&self, _: Note) {}
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Phase(p) => write!(f, "{p}"),
            Note::UnitStarted { title, .. } => write!(f, "  … {title}"),
            Note::UnitEnded { unit, items, gaps: 0 } => write!(f, "  ✓ {unit}: {items} items"),
            Note::UnitEnded { unit, items, gaps } => write!(f, "  ! {unit}: {items} items, {gaps} gaps"),
            Note::Cell(line) | Note::Said(line) => write!(f, "  {line}"),
        }
    }
}
