//! `playbook list | show | check`.

use super::args::{Global, PlaybookCommand};
use super::documents::{Listed, PlaybookChecked, PlaybookText, Playbooks};
use super::error::CliError;
use super::session::screen;
use crate::model::outcome::Outcome;
use crate::playbook::{self, LoadError, Playbook};

pub fn playbook(global: &Global, command: PlaybookCommand) -> Result<Outcome, CliError> {
    let screen = screen(global);
    match command {
        PlaybookCommand::List => {
            let mut all = vec![];
            for shipped in playbook::shipped() {
                let read = load(shipped.name)?;
                all.push(Listed { name: shipped.name, title: read.title.clone(), contains: read.contains() });
            }
            for p in &all {
                screen.text(&format!("{:24} {}{}", p.name, p.title, if p.contains { "  [changes AWS]" } else { "" }));
            }
            screen.document(&Playbooks { v: 1, playbooks: all });
        }
        PlaybookCommand::Show { name } => {
            let shipped = playbook::shipped().iter().find(|s| s.name == name).ok_or_else(|| {
                let names: Vec<&str> = playbook::shipped().iter().map(|s| s.name).collect();
                CliError::new(format!("no playbook `{}` is shipped", crate::aws::fault::tame(&name, 80)))
                    .hint(format!("there are {}", names.join(", ")))
                    .outcome(Outcome::Usage)
            })?;
            screen.text(shipped.text.trim_end());
            screen.document(&PlaybookText { v: 1, name: shipped.name, text: shipped.text });
        }
        PlaybookCommand::Check { file } => {
            let read = load(&file.display().to_string())?;
            screen.text(&format!("{}: valid ({} phases)", file.display(), read.phases.len()));
            let contains = read.contains();
            screen.document(&PlaybookChecked { v: 1, file, playbook: read.name, sha256: read.sha256.to_string(), contains });
        }
    }
    Ok(Outcome::Complete)
}

/// A shipped playbook by name, or a file; all problems at once, with place and suggestion.
pub fn load(name_or_path: &str) -> Result<Playbook, CliError> {
    match playbook::load(name_or_path) {
        Ok((playbook, _)) => Ok(playbook),
        Err(LoadError::Invalid(invalid)) => {
            let problems = invalid.problems();
            Err(CliError::new(format!("the playbook has {} {}", problems.len(), if problems.len() == 1 { "problem" } else { "problems" }))
                .problems(problems)
                .hint("`freezeframe playbook show snapshot-and-contain` is a starting point")
                .outcome(Outcome::Usage))
        }
        Err(e) => Err(CliError::new("the playbook cannot be used")
            .because(e)
            .hint("`freezeframe playbook list` shows what is shipped")
            .outcome(Outcome::Usage)),
    }
}
