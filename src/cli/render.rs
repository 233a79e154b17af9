//! The only place that prints. Data goes to stdout, all else to stderr; everything is intelligible without colour; a closed pipe is no error.

use super::error::CliError;
use crate::aws::fault::tame;
use crate::engine::progress::{Note, Progress};
use crate::playbook::Problem;
use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize as _;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// How this invocation shows things.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub json: bool,
    pub quiet: bool,
}

impl Screen {
    /// Text for people: to stdout, unless stdout is kept for one JSON document.
    pub fn text(self, text: &str) {
        if self.json {
            return;
        }
        let _ = writeln!(anstream::stdout().lock(), "{text}");
    }

    /// Whether what goes to stdout is seen rather than kept.
    pub fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// The command's one JSON document; nothing in text mode.
    pub fn document<T: Serialize>(self, value: &T) {
        if self.json {
            let text = serde_json::to_string_pretty(value).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"));
            let _ = writeln!(io::stdout().lock(), "{text}");
        }
    }

    /// Bytes of evidence, untouched.
    pub fn bytes(self, mut from: impl io::Read) -> io::Result<()> {
        match io::copy(&mut from, &mut io::stdout().lock()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// A remark for the person: to stderr.
    pub fn remark(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        }
    }

    /// `error:`, `caused by:`, `hint:`, to stderr; the one place where chains are printed.
    pub fn error(self, error: &CliError) {
        let mut err = anstream::stderr().lock();
        let _ = writeln!(err, "{} {error}", "error:".red().bold());
        for cause in error.causes() {
            let _ = writeln!(err, "  {} {cause}", "caused by:".red());
        }
        for hint in &error.hints {
            let _ = writeln!(err, "  {} {}", "hint:".cyan(), tame(hint, 2000));
        }
        for line in error.problems.iter().flat_map(Problem::lines).chain(error.more.iter().cloned()) {
            let _ = writeln!(err, "{line}");
        }
    }

    /// A yes-or-no question on the terminal. `None` when there is no terminal to ask.
    pub fn ask(self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let _ = write!(anstream::stderr().lock(), "{} [y/N] ", question.bold());
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// A progress display: live on a terminal, plain lines otherwise, none when quiet.
    pub fn progress(self) -> Display {
        let live = !self.quiet && io::stderr().is_terminal();
        let bar = live.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Display { screen: self, bar }
    }
}

pub struct Display {
    screen: Screen,
    bar: Option<ProgressBar>,
}

impl Display {
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.screen.remark(text),
        }
    }
}

impl Progress for Display {
    fn note(&self, note: Note) {
        match (&note, &self.bar) {
            (Note::UnitStarted { title, .. }, Some(bar)) => bar.set_message((*title).to_string()),
            // Without a live display the ends of units are enough.
            (Note::UnitStarted { .. }, None) => {}
            (Note::Phase(p), _) => self.line(&format!("{}", p.bold())),
            _ => self.line(&note.to_string()),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
