//! What restore would do, as commands of the plain aws-cli: for the responder at 4 a.m. who has no freezeframe at hand.
//!
//! An action says the words of its commands ([`super::Action::by_hand`]); quoting is done here, in one place, because the words hold what AWS,
//! and therefore an attacker, wrote. What it never does: run anything, or ask AWS anything.
//!
//! The aws-cli reads a value that begins with `file://` or `fileb://` from a file of the responder's. A policy cannot begin so (it is JSON), nor
//! can a name or an ARN; free text of AWS's (a description) must not be a word here: [`AwsCli::input_from`] takes it past the command line.

use std::fmt;

/// One command: its words, `aws` itself left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCli {
    words: Vec<String>,
    only: Option<Only>,
    /// The command whose answer is this one's input.
    input: Option<Vec<String>>,
}

/// Asked before the command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Only {
    /// This finds something. That it failed for another reason than absence is a failure.
    IfFound(Vec<String>),
    /// This answers with another text.
    Unless(Vec<String>, String),
    /// This is answered by one of these words.
    When(Vec<String>, Vec<String>),
    /// It is still before this second of the epoch, or not before it any more.
    Clock(Side, i64),
}

/// On which side of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

impl AwsCli {
    /// `lambda put-function-concurrency`, and the options in pairs.
    pub fn new<'w>(service: &str, operation: &str, options: impl IntoIterator<Item = (&'w str, &'w str)>) -> Self {
        AwsCli { words: words(service, operation, options), only: None, input: None }
    }

    /// For a delete, which fails where there is nothing (left): first asks with `get`, and does nothing when AWS says that there is none.
    pub fn if_found<'w>(self, service: &str, get: &str, options: impl IntoIterator<Item = (&'w str, &'w str)>) -> Self {
        AwsCli { only: Some(Only::IfFound(words(service, get, options))), ..self }
    }

    /// The same for a part of a thing, whose absence is no error: does nothing when `get`, with a `--query` among its options, says `text`.
    pub fn unless_says<'w>(self, service: &str, get: &str, options: impl IntoIterator<Item = (&'w str, &'w str)>, text: &str) -> Self {
        let mut get = words(service, get, options);
        get.extend(["--output".to_string(), "text".to_string()]);
        AwsCli { only: Some(Only::Unless(get, text.to_string())), ..self }
    }

    /// What `get` answers, cut by a JMESPath `query`, is this command's input: values that were not known when the journal was written, and
    /// never a word of the command line.
    pub fn input_from<'w>(self, service: &str, get: &str, options: impl IntoIterator<Item = (&'w str, &'w str)>, query: &str) -> Self {
        let mut input = words(service, get, options);
        input.extend(["--query", query, "--output", "json"].map(str::to_string));
        AwsCli { input: Some(input), ..self }
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
        AwsCli { only: Some(Only::When(ask, wanted.iter().map(|w| w.to_string()).collect())), ..self }
    }

    /// For a value that AWS takes only before a moment, and the other value that it wants afterwards: the clock of whoever runs the script decides.
    pub fn only(self, side: Side, epoch: i64) -> Self {
        AwsCli { only: Some(Only::Clock(side, epoch)), ..self }
    }

    /// A flag without a value, like `--no-enabled`.
    pub fn flag(mut self, flag: &str) -> Self {
        self.words.push(flag.to_string());
        self
    }

    /// The same in the given Region.
    pub fn in_region(mut self, region: &str) -> Self {
        let asked = self.only.as_mut().and_then(|only| match only {
            Only::IfFound(words) | Only::Unless(words, _) | Only::When(words, _) => Some(words),
            Only::Clock(..) => None,
        });
        for words in std::iter::once(&mut self.words).chain(asked).chain(&mut self.input) {
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

/// As one line of POSIX shell, whose status says whether it was done.
impl fmt::Display for AwsCli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.only {
            None => {}
            Some(Only::IfFound(get)) => write!(f, "if why=$(aws {} 2>&1 >/dev/null); then ", line(get))?,
            Some(Only::When(ask, wanted)) => {
                let wanted: Vec<String> = wanted.iter().map(|w| quoted(w)).collect();
                write!(f, "case \"$(aws {})\" in {}) ", line(ask), wanted.join("|"))?;
            }
            // Seconds of the epoch as POSIX has them since 2024, and every `date` had before.
            Some(Only::Clock(side, epoch)) => {
                let side = if *side == Side::Before { "-lt" } else { "-ge" };
                write!(f, "if [ \"$(date +%s)\" {side} {epoch} ]; then ")?;
            }
            Some(Only::Unless(get, text)) => write!(f, "if [ \"$(aws {})\" != {} ]; then ", line(get), quoted(text))?,
        }
        write!(f, "aws {}", line(&self.words))?;
        if let Some(input) = &self.input {
            // An answer is JSON and begins with a brace; between double quotes the shell reads it no further.
            write!(f, " --cli-input-json \"$(aws {})\"", line(input))?;
        }
        match &self.only {
            None => Ok(()),
            // `NoSuchEntity`, `ResourceNotFoundException`, `…NotFound…`: there is nothing to do. Anything else (denied, no network) is told.
            Some(Only::IfFound(_)) => {
                f.write_str("; else case $why in *NoSuch*|*NotFound*) ;; *) printf '%s\\n' \"$why\" >&2; false ;; esac; fi")
            }
            Some(Only::Unless(..) | Only::Clock(..)) => f.write_str("; fi"),
            // No answer is no state: that it could not be asked is a failure.
            Some(Only::When(..)) => f.write_str(";; '') false;; esac"),
        }
    }
}

fn line(words: &[String]) -> String {
    words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")
}

/// POSIX: between single quotes nothing is special but the quote itself.
pub fn quoted(word: &str) -> String {
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
             aws pipes start-pipe --name p --region eu-west-1;; '') false;; esac"
        );
    }

    #[test]
    fn a_delete_asks_first() {
        let get = [("--role-name", "r")];
        let cli = AwsCli::new("iam", "delete-role-policy", get).if_found("iam", "get-role-policy", get).in_region("eu-west-1");
        let text = cli.to_string();
        assert!(text.starts_with("if why=$(aws iam get-role-policy --role-name r --region eu-west-1 2>&1 >/dev/null); then "), "{text}");
        assert!(text.contains("then aws iam delete-role-policy --role-name r --region eu-west-1; else case $why in *NoSuch*"), "{text}");
    }

    /// A shell that is not ours reads what was written.
    #[test]
    fn a_shell_agrees() {
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join("aws");
        // Says what it was asked; a get fails as the test says.
        let script = "#!/bin/sh\ncase $2 in get-*) echo \"$GET_ERROR\" >&2; printf '%s' \"$GET_SAYS\"; exit $GET_CODE;; esac\nprintf '<%s>' \"$@\"\n";
        std::fs::write(&fake, script).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
        let run = |cli: &AwsCli, code: &str, error: &str, says: &str| {
            let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
            let out = std::process::Command::new("sh")
                .args(["-c", &cli.to_string()])
                .envs([("PATH", path.as_str()), ("GET_CODE", code), ("GET_ERROR", error), ("GET_SAYS", says)])
                .output()
                .unwrap();
            (out.status.success(), String::from_utf8(out.stdout).unwrap())
        };
        let hostile = "{\"a\":\"it's $(echo x) `y` \\\"\"}\n";
        let plain = AwsCli::new("iam", "put", [("--document", hostile)]);
        assert_eq!(run(&plain, "0", "", ""), (true, format!("<iam><put><--document><{hostile}>")));

        let delete = AwsCli::new("iam", "delete", []).if_found("iam", "get-it", []);
        assert_eq!(run(&delete, "0", "", "it"), (true, "<iam><delete>".into()));
        assert_eq!(run(&delete, "254", "An error occurred (NoSuchEntity) when …", ""), (true, String::new()));
        assert_eq!(run(&delete, "254", "An error occurred (AccessDenied) when …", ""), (false, String::new()), "unknown is not absent");

        let unless = AwsCli::new("iam", "delete", []).unless_says("iam", "get-it", [("--query", "A.B")], "None");
        assert_eq!(run(&unless, "0", "", "None"), (true, String::new()));
        assert_eq!(run(&unless, "0", "", "arn:x"), (true, "<iam><delete>".into()));

        let when = AwsCli::new("pipes", "start", []).only_when("pipes", "get-it", [], "State", &["STOPPED"]);
        assert_eq!(run(&when, "0", "", "STOPPED"), (true, "<pipes><start>".into()));
        assert_eq!(run(&when, "0", "", "RUNNING"), (true, String::new()));
        assert_eq!(run(&when, "254", "no network", ""), (false, String::new()));

        for (side, epoch, done) in [(Side::Before, 1_000, ""), (Side::After, 1_000, "<s><put>"), (Side::Before, 99_999_999_999, "<s><put>")]
        {
            assert_eq!(run(&AwsCli::new("s", "put", []).only(side, epoch), "0", "", ""), (true, done.to_string()), "{side:?}");
        }

        let input = AwsCli::new("lambda", "update", []).input_from("lambda", "get-it", [], "{Description: Description}");
        let says = "{\"Description\": \"file:///etc/passwd $(echo x)\"}";
        assert_eq!(run(&input, "0", "", says), (true, format!("<lambda><update><--cli-input-json><{says}>")));
    }
}
