//! Name patterns: `*` stands for any run of characters, `?` for one. Nothing else has a meaning.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    pub fn new(pattern: impl Into<String>) -> Glob {
        Glob(pattern.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, text: &str) -> bool {
        fits(self.0.chars().collect(), text.chars().collect())
    }

    /// Whatever the case of the letters: for lines that protect, where `Prod-x` is meant by `prod-*` too.
    pub fn matches_any_case(&self, text: &str) -> bool {
        fits(self.0.to_lowercase().chars().collect(), text.to_lowercase().chars().collect())
    }
}

/// One star is remembered at a time, so a hostile text costs its length times the pattern's and no more.
fn fits(pattern: Vec<char>, text: Vec<char>) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    p = after;
                    t = from + 1;
                    star = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_and_nothing_else() {
        for (pattern, text, wanted) in [
            ("prod-*", "prod-payments", true),
            ("prod-*", "prod-", true),
            ("prod-*", "preprod-x", false),
            ("*-authorizer", "api-authorizer", true),
            ("*-authorizer", "authorizer", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("a.c", "abc", false),
            ("[ab]", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), wanted, "{pattern} {text}");
        }
        assert!(Glob::new("Prod-*").matches_any_case("pROD-x") && !Glob::new("Prod-*").matches("prod-x"));
        // What costs a backtracking matcher hours.
        assert!(!Glob::new("*a".repeat(60) + "b").matches(&"a".repeat(5_000)));
    }
}
