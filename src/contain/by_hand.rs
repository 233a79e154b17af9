//! What restore would do, as commands of the plain aws-cli: for the responder at 4 a.m. who has no freezeframe at hand.
//!
//! An action says the words of its commands ([`super::Action::by_hand`]); quoting is done here, in one place, because the words hold what AWS,
//! and therefore an attacker, wrote. What it never does: run anything, or ask AWS anything.

use std::fmt;

/// One command: its words, `aws` itself left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCli {
    words: Vec<String>,
    /// Runs only when the command before it said that the thing exists: `aws iam get-role-policy … && aws iam delete-role-policy …`.
    unless_absent: Option<Vec<String>>,
    /// Runs only when this question is answered by one of these words.
    only_when: Option<(Vec<String>, Vec<String>)>,
}

impl AwsCli {
    /// `lambda put-function-concurrency`, and the options in pairs.
    pub fn new<'w>(service: &str, operation: &str, options: impl IntoIterator<Item = (&'w str, &'w str)>) -> Self {
        AwsCli { words: words(service, operation, options), unless_absent: None, only_when: None }
    }

    /// For a delete, which fails where there is nothing (left): first asks with `get`, and does nothing when that finds nothing.
    pub fn if_found<'w>(self, service: &str, get: &str, options: impl IntoIterator<Item = (&'w str, &'w str)>) -> Self {
        AwsCli { unless_absent: Some(words(service, get, options)), ..self }
    }

    /// For what is an error in the wrong state (starting what runs): first asks with `get` for the member `query`, and does nothing unless it
    /// is one of `wanted`.
    pub fn only_when<'w>(
        self,
        service: &str,
        get: &str,
        options: impl IntoIterator<Item = (&'w str, &'w str)>,
        query: &str,
        wanted: &[&str],
    ) -> Self {
        let mut ask = words(service, get, options);
        ask.extend(["--query", query, "--output", "text"].map(str::to_string));
        AwsCli { only_when: Some((ask, wanted.iter().map(|w| w.to_string()).collect())), ..self }
    }

    /// A flag without a value, like `--no-enabled`.
    pub fn flag(mut self, flag: &str) -> Self {
        self.words.push(flag.to_string());
        self
    }

    /// The same in the given Region.
    pub fn in_region(mut self, region: &str) -> Self {
        for words in std::iter::once(&mut self.words).chain(&mut self.unless_absent).chain(self.only_when.as_mut().map(|(ask, _)| ask)) {
            words.extend(["--region".to_string(), region.to_string()]);
        }
        self
    }
}

fn words<'w>(service: &str, operation: &str, options: impl IntoIterator<Item = (&'w str, &'w str)>) -> Vec<String> {
    let mut words = vec![service.to_string(), operation.to_string()];
    for (name, value) in options {
        words.extend([name.to_string(), value.to_string()]);
    }
    words
}

/// As one line of POSIX shell. The aws-cli reads `file://` and `@` forms only in values of our own making: none begins so.
impl fmt::Display for AwsCli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(get) = &self.unless_absent {
            write!(f, "if aws {} >/dev/null 2>&1; then ", line(get))?;
        }
        if let Some((ask, wanted)) = &self.only_when {
            let wanted: Vec<String> = wanted.iter().map(|w| quoted(w)).collect();
            write!(f, "case \"$(aws {})\" in {}) ", line(ask), wanted.join("|"))?;
        }
        write!(f, "aws {}", line(&self.words))?;
        if self.only_when.is_some() {
            f.write_str(";; esac")?;
        }
        if self.unless_absent.is_some() {
            f.write_str("; fi")?;
        }
        Ok(())
    }
}

fn line(words: &[String]) -> String {
    words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")
}

/// POSIX: between single quotes nothing is special but the quote itself.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@,+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_words_stay_words() {
        let cli =
            AwsCli::new("iam", "put-role-policy", [("--role-name", "r"), ("--policy-document", "{\"a\":\"it's $(rm -rf /) `x`\"}\n")]);
        assert_eq!(cli.to_string(), "aws iam put-role-policy --role-name r --policy-document '{\"a\":\"it'\\''s $(rm -rf /) `x`\"}\n'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn what_would_be_an_error_in_another_state_asks_for_the_state() {
        let name = [("--name", "p")];
        let cli = AwsCli::new("pipes", "start-pipe", name).only_when("pipes", "describe-pipe", name, "CurrentState", &["STOPPED", "X Y"]);
        assert_eq!(
            cli.in_region("eu-west-1").to_string(),
            "case \"$(aws pipes describe-pipe --name p --query CurrentState --output text --region eu-west-1)\" in STOPPED|'X Y') \
             aws pipes start-pipe --name p --region eu-west-1;; esac"
        );
    }

    #[test]
    fn a_delete_asks_first() {
        let cli =
            AwsCli::new("iam", "delete-role-policy", [("--role-name", "r")]).if_found("iam", "get-role-policy", [("--role-name", "r")]);
        assert_eq!(
            cli.to_string(),
            "if aws iam get-role-policy --role-name r >/dev/null 2>&1; then aws iam delete-role-policy --role-name r; fi"
        );
    }
}
