//! Findings: what a check has to say, bounded and escaped, since most of it quotes a stranger.

use schemars::JsonSchema;
use serde::Serialize;

/// How much a finding matters. Any error makes the bundle `broken`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Worth a look; the bundle may be whole all the same.
    Warn,
    /// The bundle is not what it claims to be.
    Error,
}

/// What is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static str,
    pub level: Level,
    /// The file concerned, as named in the bundle: escaped and cut.
    pub path: Option<String>,
    pub message: String,
    pub remedy: String,
}

/// So many of one check are kept; the rest is counted.
const MAX_PER_CHECK: usize = 100;
const MAX_TEXT: usize = 400;

/// `text` fit for a terminal, a log and a report: what could steer a terminal or deceive a reader is escaped, and it ends.
pub fn shown(text: &str, max: usize) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == max {
            out.push('…');
            break;
        }
        match c {
            '"' | '\'' => out.push(c),
            // Escapes control, format and unassigned characters (so also the ones that turn text around), keeps letters of any script.
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

/// Collects for one check at a time.
#[derive(Debug, Default)]
pub struct Findings {
    check: &'static str,
    all: Vec<Finding>,
    errors: u64,
    warnings: u64,
    kept: usize,
    dropped: (u64, u64),
}

impl Findings {
    pub(super) fn begin(&mut self, check: &'static str) {
        (self.check, self.errors, self.warnings, self.kept, self.dropped) = (check, 0, 0, 0, (0, 0));
    }
    /// Errors and warnings of the check, kept or not.
    pub(super) fn end(&mut self) -> (u64, u64) {
        let (errors, others) = self.dropped;
        if errors + others > 0 {
            let level = if errors > 0 { Level::Error } else { Level::Warn };
            self.all.push(Finding {
                check: self.check,
                level,
                path: None,
                message: format!("{} more findings of this check are not listed", errors + others),
                remedy: "Deal with the listed ones first, then verify again.".into(),
            });
        }
        (self.errors, self.warnings)
    }
    pub(super) fn into_vec(self) -> Vec<Finding> {
        self.all
    }

    pub fn add(&mut self, level: Level, path: Option<&str>, message: impl AsRef<str>, remedy: &str) {
        match level {
            Level::Error => self.errors += 1,
            Level::Warn => self.warnings += 1,
            Level::Info => {}
        }
        if self.kept == MAX_PER_CHECK {
            if level == Level::Error {
                self.dropped.0 += 1
            } else {
                self.dropped.1 += 1
            }
            return;
        }
        self.kept += 1;
        self.all.push(Finding {
            check: self.check,
            level,
            path: path.map(|p| shown(p, 240)),
            message: shown(message.as_ref(), MAX_TEXT),
            remedy: remedy.to_string(),
        });
    }
    pub fn error(&mut self, path: Option<&str>, message: impl AsRef<str>, remedy: &str) {
        self.add(Level::Error, path, message, remedy);
    }
    pub fn warn(&mut self, path: Option<&str>, message: impl AsRef<str>, remedy: &str) {
        self.add(Level::Warn, path, message, remedy);
    }
}

/// Remedies that several checks give.
pub mod remedy {
    pub const OTHER_COPY: &str =
        "Do not rely on this copy: fetch the bundle again from where it was first kept, and compare the root digests.";
    pub const ASK_MAKER: &str =
        "The copy agrees with its digests, so it was made this way: ask who made it, and with which build, before relying on it.";
    pub const NEWER_BUILD: &str = "Verify with a build of freezeframe that knows this version.";
    pub const UNFINISHED: &str =
        "The run did not come to its end. Take the snapshot again; keep this one as well, for it may hold what has since gone.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_steer_a_terminal_or_run_on() {
        assert_eq!(shown("a\u{1b}[31m\u{202e}b\nc\u{0}é\"", 100), "a\\u{1b}[31m\\u{202e}b\\nc\\0é\"");
        assert_eq!(shown("xxxx", 2), "xx…");
    }

    #[test]
    fn a_flood_is_counted_not_kept() {
        let mut f = Findings::default();
        f.begin("x");
        for _ in 0..1000 {
            f.error(None, "m", "r");
        }
        assert_eq!(f.end(), (1000, 0));
        let all = f.into_vec();
        assert_eq!(all.len(), MAX_PER_CHECK + 1);
        assert_eq!((all[100].level, all[100].message.as_str()), (Level::Error, "900 more findings of this check are not listed"));
    }
}
