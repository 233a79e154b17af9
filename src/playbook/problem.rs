//! What is wrong with a playbook: where, what, and what to do about it. Every problem is told at once, not only the first.

use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// A place in the text, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Pos {
    pub line: usize,
    pub column: usize,
}

impl Pos {
    pub const START: Pos = Pos { line: 1, column: 1 };
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// The file or the shipped playbook's name, as the user gave it.
    pub file: String,
    #[serde(flatten)]
    pub at: Pos,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line itself, control characters escaped, cut to a readable width.
    pub snippet: String,
    /// Where in the snippet the caret belongs, counted from 0.
    #[serde(skip)]
    caret: usize,
}

/// Wide enough for any line that somebody wrote by hand.
const WIDTH: usize = 120;

impl Problem {
    pub(super) fn new(file: &str, text: &str, at: Pos, message: String, help: Option<String>) -> Self {
        let line = text.lines().nth(at.line - 1).unwrap_or("");
        // A long line is shown from a little before the place.
        let from = if at.column > WIDTH - 20 { at.column - 40 } else { 0 };
        let shown = |from: usize, count: usize| -> String { line.chars().skip(from).take(count).map(harmless).collect() };
        let caret = shown(from, (at.column - 1).saturating_sub(from)).chars().count();
        Problem {
            file: file.to_string(),
            at,
            message: harmless_text(&message),
            help: help.map(|h| harmless_text(&h)),
            snippet: shown(from, WIDTH),
            caret,
        }
    }

    /// The problem as lines for a terminal: place and message, the line with a caret below the place, the help.
    pub fn lines(&self) -> Vec<String> {
        let number = self.at.line.to_string();
        let pad = " ".repeat(number.len());
        let mut lines = vec![self.to_string(), format!("  {number} | {}", self.snippet), format!("  {pad} | {}^", " ".repeat(self.caret))];
        lines.extend(self.help.iter().map(|help| format!("  {pad} = {help}")));
        lines
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", harmless_text(&self.file), self.at.line, self.at.column, self.message)
    }
}

/// Characters that could steer a terminal, or reorder what a reader sees.
pub(crate) fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

fn harmless(c: char) -> char {
    match c {
        '\t' => ' ',
        c if steers(c) => '\u{fffd}',
        c => c,
    }
}

fn harmless_text(text: &str) -> String {
    text.chars().take(400).map(harmless).collect()
}

/// All problems of one playbook, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(.problems))]
pub struct Invalid {
    /// Never empty.
    problems: Vec<Problem>,
}

fn told(problems: &[Problem]) -> String {
    match problems {
        [] => "the playbook is invalid".to_string(),
        [one] => one.to_string(),
        [first, _] => format!("{first} (and 1 more problem)"),
        [first, rest @ ..] => format!("{first} (and {} more problems)", rest.len()),
    }
}

impl Invalid {
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Collects problems while a file is read.
pub(crate) struct Problems<'t> {
    /// What the file is: `playbook`.
    pub(super) noun: &'static str,
    file: &'t str,
    pub(super) text: &'t str,
    list: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub fn new(noun: &'static str, file: &'t str, text: &'t str) -> Self {
        Problems { noun, file, text, list: vec![] }
    }
    pub fn say(&mut self, at: Pos, message: impl Into<String>) {
        self.list.push(Problem::new(self.file, self.text, at, message.into(), None));
    }
    pub fn help(&mut self, at: Pos, message: impl Into<String>, help: impl Into<String>) {
        self.list.push(Problem::new(self.file, self.text, at, message.into(), Some(help.into())));
    }
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Invalid> {
        self.list.sort_by_key(|p| p.at);
        match value {
            Some(value) if self.list.is_empty() => Ok(value),
            _ => {
                if self.list.is_empty() {
                    self.say(Pos::START, format!("the {} could not be read", self.noun));
                }
                Err(Invalid { problems: self.list })
            }
        }
    }
}

/// `did you mean …?`, when a known word is near enough to be a slip of the finger.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// The nearest word as a question; otherwise the words to choose from.
pub fn choice(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_place_and_nothing_steers_the_terminal() {
        let p = Problem::new(
            "x.yaml",
            "a\n  use: b\u{1b}[31mad\n",
            Pos { line: 2, column: 8 },
            "no \u{1b} good".into(),
            Some("try `c`".into()),
        );
        let lines = p.lines();
        assert_eq!(lines[0], "x.yaml:2:8: no \u{fffd} good");
        assert_eq!(lines[1].find('b'), lines[2].find('^'), "{lines:?}");
        assert!(!lines.concat().contains('\u{1b}'));
        let long = "x".repeat(500) + "Y";
        let lines = Problem::new("x.yaml", &long, Pos { line: 1, column: 501 }, "m".into(), None).lines();
        assert_eq!(lines[1].find('Y'), lines[2].find('^'));
    }

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["freeze-concurrency", "quarantine-role", "seal"];
        assert_eq!(nearest("freeze-concurency", known), Some("freeze-concurrency"));
        assert_eq!(nearest("sael", known), Some("seal"));
        assert_eq!(nearest("delete-everything", known), None);
    }
}
