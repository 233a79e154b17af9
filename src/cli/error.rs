//! An error at the face: what could not be done, its causes, what the person can do, and the exit code.

use crate::model::outcome::Outcome;
use std::error::Error;
use std::fmt;

#[derive(Debug)]
pub struct CliError {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    pub hints: Vec<String>,
    /// Lines printed after the error as they are (a snippet of a playbook).
    pub more: Vec<String>,
    pub outcome: Outcome,
}

impl CliError {
    pub fn new(what: impl Into<String>) -> Self {
        CliError { what: what.into(), source: None, hints: vec![], more: vec![], outcome: Outcome::Failed }
    }
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
    pub fn more(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.more.extend(lines);
        self
    }
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
}
impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
