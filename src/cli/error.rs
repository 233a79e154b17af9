//! An error at the face: what could not be done, its causes, what the person can do, and the exit code.

use crate::aws::fault::tame;
use crate::model::causes::causes;
use crate::model::outcome::Outcome;
use crate::playbook::Problem;
use std::error::Error;
use std::fmt;

#[derive(Debug)]
pub struct CliError {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    pub hints: Vec<String>,
    /// What is wrong with a playbook, printed after the error with place and snippet.
    pub problems: Vec<Problem>,
    /// Lines printed after the error as they are.
    pub more: Vec<String>,
    pub outcome: Outcome,
}

impl CliError {
    pub fn new(what: impl Into<String>) -> Self {
        CliError { what: what.into(), source: None, hints: vec![], problems: vec![], more: vec![], outcome: Outcome::Failed }
    }
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
    pub fn problems(mut self, problems: &[Problem]) -> Self {
        self.problems.extend_from_slice(problems);
        self
    }
    pub fn more(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.more.extend(lines);
        self
    }
    /// From the outermost to the first, fit for a terminal.
    pub fn causes(&self) -> Vec<String> {
        causes(self).skip(1).map(|cause| tame(&cause.to_string(), 2000)).collect()
    }
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
}
impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tame(&self.what, 2000))
    }
}
impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
