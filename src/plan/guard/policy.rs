//! The guard policy's file: YAML, read as strictly as a playbook, with line and column for everything that is wrong.
//!
//! Every field there is stands in `example.yaml`, which `freezeframe guard show` prints.

use super::{Applies, Glob, Line, Matcher, Ours, Policy, PolicySource, RateLimit, RoleLine, Ruling};
use crate::model::digest::Sha256;
use crate::playbook::{Fields, Invalid, Key, Kind, Node, Pos, Problems, choice, kebab};

/// A policy with every field there is.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// A guard policy from its text; `file` is what the user called it.
pub fn read(file: &str, text: &str) -> Result<Policy, Invalid> {
    let mut problems = Problems::new("guard policy", file, text);
    let policy = problems.root().and_then(|root| Reader { problems: &mut problems }.policy(root));
    let policy = policy.map(|(name, policy)| Policy {
        source: Some(PolicySource { name, file: file.to_string(), sha256: Sha256::of(text.as_bytes()) }),
        text: Some(text.to_string()),
        ..policy
    });
    problems.finish(policy)
}

const FIELDS: &[&str] =
    &["guard", "description", "functions", "contain-tag", "otherwise", "roles", "accounts", "ours", "dry-run", "rate-limit", "breaker"];

/// More lines than anybody reads.
const MAX_LINES: usize = 500;

struct Reader<'p, 't> {
    problems: &'p mut Problems<'t>,
}

impl Reader<'_, '_> {
    fn policy(&mut self, root: Node) -> Option<(String, Policy)> {
        let mut fields = self.problems.fields("a guard policy", root)?;
        let name = self.problems.required_text(&mut fields, "guard", 64);
        if let Some((at, name)) = &name
            && !kebab(name)
        {
            self.problems.help(
                *at,
                "a guard policy's name is kebab-case",
                "lower-case letters, digits and single hyphens: `acme-production`",
            );
        }
        let mut policy = Policy::default();
        if let Some((key, node)) = fields.take("description") {
            self.problems.text(&key, node, 4_000);
        }
        if let Some((_, node)) = fields.take("functions") {
            policy.functions = self.functions(node).unwrap_or_default();
        }
        if let Some((key, node)) = fields.take("contain-tag") {
            policy.tag_ignored = self.word(&key, node, &["honoured", "ignored"]).is_some_and(|(_, word)| word == 1);
        }
        if let Some((key, node)) = fields.take("otherwise") {
            policy.otherwise = self.word(&key, node, &Ruling::ALL.map(Ruling::as_str)).map(|(at, n)| (Ruling::ALL[n], at));
        }
        if let Some((_, node)) = fields.take("roles") {
            policy.roles = self.roles(node).unwrap_or_default();
        }
        if let Some((_, node)) = fields.take("accounts") {
            self.accounts(node, &mut policy);
        }
        if let Some((_, node)) = fields.take("ours") {
            policy.ours = self.ours(node).unwrap_or_default();
        }
        if let Some((key, node)) = fields.take("dry-run") {
            policy.dry_run = self.flag(&key, node).and_then(|(at, on)| on.then_some(at));
        }
        if let Some((key, node)) = fields.take("rate-limit") {
            policy.rate = self.rate(key.at, node).unwrap_or_default();
        }
        if let Some((key, node)) = fields.take("breaker") {
            policy.breaker = self.applies(&key, node).map_or_else(Default::default, |(at, applies)| (applies, Some(at)));
        }
        self.problems.nothing_left(fields, FIELDS);
        Some((name?.1, policy))
    }

    fn functions(&mut self, node: Node) -> Option<Vec<Line>> {
        let mut fields = self.problems.fields("`functions`", node)?;
        let mut lines = vec![];
        for ruling in Ruling::ALL {
            let Some((key, node)) = fields.take(ruling.as_str()) else { continue };
            for node in self.entries(&key, node, "- name: \"prod-*\"")? {
                lines.extend(self.line(ruling, node));
            }
        }
        self.problems.nothing_left(fields, &Ruling::ALL.map(Ruling::as_str));
        Some(lines)
    }

    fn entries(&mut self, key: &Key, node: Node, example: &str) -> Option<Vec<Node>> {
        let at = node.at;
        let list = self.problems.list(key, node, example)?;
        if list.len() > MAX_LINES {
            self.problems.say(at, format!("`{}` has at most {MAX_LINES} lines", key.name));
            return None;
        }
        Some(list)
    }

    fn line(&mut self, ruling: Ruling, node: Node) -> Option<Line> {
        let at = node.at;
        let mut fields = self.problems.fields("a line", node)?;
        let name = fields.take("name").map(|(key, node)| (key.at, self.pattern(&key, node)));
        let tag = fields.take("tag").map(|(key, node)| (key.at, self.tag(&key, node)));
        let why = self.why(&mut fields);
        self.problems.nothing_left(fields, &["name", "tag", "why"]);
        let matches = match (name, tag) {
            (Some((_, name)), None) => Matcher::Name(name?),
            (None, Some((_, tag))) => tag?,
            (Some(_), Some((at, _))) => {
                self.problems.help(at, "a line has a `name` or a `tag`, not both", "write two lines; each of them counts");
                return None;
            }
            (None, None) => {
                self.problems.help(at, "a line without `name` or `tag`", "`name: \"prod-*\"`, or `tag: \"stage=prod\"`");
                return None;
            }
        };
        Some(Line { ruling, matches, why: why?, at })
    }

    fn why(&mut self, fields: &mut Fields) -> Option<String> {
        match fields.take("why") {
            Some((key, node)) => self.problems.reason(&key, node, "the reason"),
            None => {
                self.problems.help(fields.at, "a line without `why`", "whoever is refused at three in the morning reads it");
                None
            }
        }
    }

    fn pattern(&mut self, key: &Key, node: Node) -> Option<Glob> {
        let at = node.at;
        let text = self.problems.text(key, node, 256)?;
        if text.trim() != text || text.contains('\n') {
            self.problems.say(at, format!("`{}` begins or ends with a blank, and nothing would match it", key.name));
            return None;
        }
        Some(Glob::new(text))
    }

    fn tag(&mut self, key: &Key, node: Node) -> Option<Matcher> {
        let at = node.at;
        let text = self.pattern(key, node)?;
        match text.as_str().split_once('=') {
            Some((name, value)) if !name.is_empty() && !name.contains(['*', '?']) => {
                Some(Matcher::Tag { name: name.to_string(), value: Glob::new(value) })
            }
            _ => {
                self.problems.help(at, "a tag is written `key=value`", "`stage=prod`; the value may hold `*` and `?`, the key may not");
                None
            }
        }
    }

    fn roles(&mut self, node: Node) -> Option<Vec<RoleLine>> {
        let mut fields = self.problems.fields("`roles`", node)?;
        let list = match fields.take("never") {
            Some((key, node)) => self.entries(&key, node, "- name: \"*-deployer\"")?,
            None => vec![],
        };
        self.problems.nothing_left(fields, &["never"]);
        let mut lines = vec![];
        for node in list {
            let at = node.at;
            let Some(mut fields) = self.problems.fields("a line", node) else { continue };
            let name = fields.take("name").map(|(key, node)| self.pattern(&key, node));
            let path = fields.take("path").map(|(key, node)| self.path(&key, node));
            let why = self.why(&mut fields);
            self.problems.nothing_left(fields, &["name", "path", "why"]);
            match (name, path, why) {
                (None, None, _) => self.problems.help(at, "a line without `name` or `path`", "`path: /platform/*`"),
                // What was wrong with it was said.
                (Some(None), _, _) | (_, Some(None), _) | (_, _, None) => {}
                (name, path, Some(why)) => lines.push(RoleLine { name: name.flatten(), path: path.flatten(), why, at }),
            }
        }
        Some(lines)
    }

    fn path(&mut self, key: &Key, node: Node) -> Option<Glob> {
        let at = node.at;
        let path = self.pattern(key, node)?;
        if !(path.as_str().starts_with('/') && path.as_str().ends_with(['/', '*'])) {
            self.problems.help(at, "a role's path begins with a slash, and ends with one or with `*`", "`/platform/`, `/platform/*`");
            return None;
        }
        Some(path)
    }

    fn accounts(&mut self, node: Node, policy: &mut Policy) {
        let Some(mut fields) = self.problems.fields("`accounts`", node) else { return };
        if let Some((key, node)) = fields.take("only") {
            let at = key.at;
            let listed = self.account_ids(&key, node);
            policy.accounts_only = Some((listed.into_iter().map(|(id, _)| id).collect(), at));
        }
        if let Some((key, node)) = fields.take("never") {
            policy.accounts_never = self.account_ids(&key, node);
        }
        self.problems.nothing_left(fields, &["only", "never"]);
    }

    fn account_ids(&mut self, key: &Key, node: Node) -> Vec<(String, Pos)> {
        let mut ids = vec![];
        for node in self.entries(key, node, "- \"111111111111\"").unwrap_or_default() {
            match node.kind {
                Kind::Text(id) if id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()) => ids.push((id, node.at)),
                // As a number it would lose its leading zeros.
                _ => self.problems.help(node.at, "an account is twelve digits, in quotes", "`\"012345678901\"`"),
            }
        }
        ids
    }

    fn ours(&mut self, node: Node) -> Option<Ours> {
        let mut fields = self.problems.fields("`ours`", node)?;
        let mut ours = Ours::default();
        let kinds: [(&str, &mut Vec<(Glob, Pos)>); 6] = [
            ("functions", &mut ours.functions),
            ("roles", &mut ours.roles),
            ("buckets", &mut ours.buckets),
            ("keys", &mut ours.keys),
            ("log-groups", &mut ours.log_groups),
            ("others", &mut ours.others),
        ];
        for (kind, into) in kinds {
            let Some((key, node)) = fields.take(kind) else { continue };
            for node in self.entries(&key, node, "- freezeframe-*").unwrap_or_default() {
                let at = node.at;
                into.extend(self.pattern(&key, node).map(|glob| (glob, at)));
            }
        }
        self.problems.nothing_left(fields, &["functions", "roles", "buckets", "keys", "log-groups", "others"]);
        Some(ours)
    }

    fn rate(&mut self, at: Pos, node: Node) -> Option<RateLimit> {
        let mut fields = self.problems.fields("`rate-limit`", node)?;
        let mut rate = RateLimit { at: Some(at), ..RateLimit::default() };
        if let Some((key, node)) = fields.take("applies-to") {
            rate.applies = self.applies(&key, node).map_or(rate.applies, |(_, applies)| applies);
        }
        if let Some((key, node)) = fields.take("per-account") {
            rate.per_account = self.count(&key, node).unwrap_or(rate.per_account);
        }
        if let Some((key, node)) = fields.take("per-organization") {
            rate.per_organization = self.count(&key, node).unwrap_or(rate.per_organization);
        }
        self.problems.nothing_left(fields, &["applies-to", "per-account", "per-organization"]);
        Some(rate)
    }

    fn count(&mut self, key: &Key, node: Node) -> Option<u32> {
        let count = match &node.kind {
            Kind::Number(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= 1_000),
            _ => None,
        };
        if count.is_none() {
            self.problems.say(node.at, format!("`{}` is a number from 0 to 1000, not {}", key.name, node.kind.what()));
        }
        count
    }

    fn flag(&mut self, key: &Key, node: Node) -> Option<(Pos, bool)> {
        match node.kind {
            Kind::Bool(on) => Some((node.at, on)),
            other => {
                self.problems.say(node.at, format!("`{}` is true or false, not {}", key.name, other.what()));
                None
            }
        }
    }

    fn applies(&mut self, key: &Key, node: Node) -> Option<(Pos, Applies)> {
        let (at, word) = self.word(key, node, &["automatic", "everyone"])?;
        Some((at, [Applies::Automatic, Applies::Everyone][word]))
    }

    /// Which of the words stands there.
    fn word(&mut self, key: &Key, node: Node, words: &[&str]) -> Option<(Pos, usize)> {
        let at = node.at;
        let text = self.problems.text(key, node, 64)?;
        let found = words.iter().position(|w| *w == text);
        if found.is_none() {
            self.problems.help(at, format!("`{}` is {}, not `{text}`", key.name, words.join(" or ")), choice(&text, words));
        }
        Some((at, found?))
    }
}
