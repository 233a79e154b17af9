//! The judgement itself. Pure; each rule a function, so that each can be read, and tried, by itself.

use super::{Approval, CONTAIN_TAG, Face, Glob, Line, Matcher, Policy, Rule, Ruling, Subject, Tags};
use crate::aws::fault::tame;
use crate::contain::Cell;
use crate::model::refusal::Refusal;
use crate::plan::approval::same_person;
use crate::playbook::Pos;

/// What the rules object to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Objections to containing the function at all.
    pub refusals: Vec<Refusal>,
    /// Objections to writing to its role; the rest may be contained.
    pub of_role: Vec<Refusal>,
    /// It may be foretold, not done.
    pub dry_run: Option<Refusal>,
    /// Among the refusals is one for tags that nobody asked for yet (`ListTags`).
    pub wants_tags: bool,
}

impl Judgement {
    /// The same without the refusal that asking for the tags may lift: what is known before they are read.
    pub fn before_tags(mut self) -> Judgement {
        if std::mem::take(&mut self.wants_tags) {
            self.refusals.retain(|r| r.rule != Rule::TagsUnreadable.as_str());
        }
        self
    }
}

pub fn judge(policy: &Policy, subject: &Subject<'_>) -> Judgement {
    let mut out = Judgement::default();
    out.refusals.extend(account(policy, subject));
    out.refusals.extend(ourselves(policy, subject));
    about_function(policy, subject, &mut out);
    out.of_role = subject.known.role_arn.as_deref().map_or_else(Vec::new, |arn| role(policy, arn));
    if subject.wants_approval && !approved(subject) {
        out.refusals.push(Rule::Mode.refuses(
            "every containment by this handler wants somebody's approval, and there is none",
            "FREEZEFRAME_MODE=contain-with-approval",
            "contain it from a terminal, or set FREEZEFRAME_MODE=contain",
        ));
    }
    if let Some(at) = policy.dry_run.filter(|_| !subject.in_earnest) {
        let lift = match subject.face {
            Face::Person => "say --in-earnest",
            Face::Automatic => "take `dry-run` out of the policy",
        };
        out.dry_run = Some(Rule::DryRun.refuses("by this policy containment is only foretold", policy.place(Some(at)), lift));
    }
    out
}

fn approved(subject: &Subject<'_>) -> bool {
    // Whoever asks cannot be the one who consents.
    subject.approval.is_some_and(|Approval { by }| !by.is_empty() && !same_person(by, subject.caller))
}

fn account(policy: &Policy, subject: &Subject<'_>) -> Vec<Refusal> {
    let account = &subject.target.account;
    let mut out = vec![];
    for (_, at) in policy.accounts_never.iter().filter(|(a, _)| a == account) {
        let why = format!("nothing is contained in account {account}");
        out.push(Rule::Account.refuses(why, policy.place(Some(*at)), "take the account off `accounts.never`"));
    }
    if let Some((only, at)) = policy.accounts_only.as_ref().filter(|(only, _)| !only.contains(account)) {
        let why = format!("account {account} is none of the {} in which functions may be contained", only.len());
        out.push(Rule::Account.refuses(why, policy.place(Some(*at)), "add the account to `accounts.only`"));
    }
    out
}

/// A role's ARN: account, path (`/`, `/team/`), name.
fn role_parts(arn: &str) -> Option<(&str, String, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (account, resource) = (parts.by_ref().nth(4)?, parts.next()?);
    let rest = resource.strip_prefix("role/")?;
    let (path, name) = rest.rsplit_once('/').map_or((String::from("/"), rest), |(path, name)| (format!("/{path}/"), name));
    (!name.is_empty()).then_some((account, path, name))
}

/// The role behind a caller: `arn:aws:sts::123456789012:assumed-role/NAME/SESSION`. The path is not told there, so names are compared.
fn callers_role(caller: &str) -> Option<(&str, &str)> {
    let mut parts = caller.splitn(6, ':');
    let (account, resource) = (parts.by_ref().nth(4)?, parts.next()?);
    let name = resource.strip_prefix("assumed-role/")?.split('/').next()?;
    (!name.is_empty()).then_some((account, name))
}

fn listed<'l>(list: &'l [(Glob, Pos)], texts: &[&str]) -> Option<&'l (Glob, Pos)> {
    list.iter().find(|(glob, _)| texts.iter().any(|t| glob.matches_any_case(t)))
}

const NOTHING_LIFTS: &str = "nothing does; contain it by hand if it must be, from an identity that is not its own";

/// Self-protection. Hard-coded: a policy can add to what is ours, and take nothing from it.
fn ourselves(policy: &Policy, subject: &Subject<'_>) -> Vec<Refusal> {
    let Subject { target, known, ourselves, .. } = subject;
    let mut out = vec![];
    let lift = NOTHING_LIFTS;
    let mut say = |why: String, stands: String| out.push(Rule::Ourselves.refuses(why, stands, lift));
    // In whatever Region: a responder is deployed under one name in many.
    if ourselves.function.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(&target.function)) {
        say(format!("{} is this very responder", target.function), "built in".into());
    }
    if let Some((_, at)) = listed(&policy.ours.functions, &[&target.function, &target.arn()]) {
        say(format!("{} is one of our own functions", target.function), policy.place(Some(*at)));
    }
    let groups = [known.log_group.clone().unwrap_or_else(|| target.default_log_group())];
    let group = groups[0].as_str();
    if ourselves.log_group.as_deref() == Some(group) {
        say(format!("{} writes to our own log group {group}", target.function), "built in".into());
    }
    if let Some((_, at)) = listed(&policy.ours.log_groups, &[group]) {
        say(format!("{} writes to {group}, one of our own log groups", target.function), policy.place(Some(*at)));
    }
    if let Some((key, (_, at))) = known.kms_key.as_deref().and_then(|k| Some((k, listed(&policy.ours.keys, &[k, last_part(k)])?))) {
        say(format!("{} is encrypted under {key}, one of our own keys", target.function), policy.place(Some(*at)));
    }
    match known.role_arn.as_deref() {
        Some(arn) => out.extend(our_role(policy, subject, arn)),
        None => {
            let why = format!("whose role {} runs under could not be read, so nobody can say that it is not our own", target.function);
            out.push(Rule::FunctionUnreadable.refuses(why, "built in", "allow lambda:GetFunction on the function"));
        }
    }
    out
}

/// Whether a role that the function runs under is ours.
fn our_role(policy: &Policy, subject: &Subject<'_>, arn: &str) -> Vec<Refusal> {
    let target = subject.target;
    let Some((account, path, name)) = role_parts(arn) else {
        let why = format!("the role of {} is named in a form that is no role's ARN: {arn}", target.function);
        return vec![Rule::FunctionUnreadable.refuses(why, "built in", "give the function a role")];
    };
    let mut out = vec![];
    let lift = NOTHING_LIFTS;
    let mut say = |why: String, stands: String| out.push(Rule::Ourselves.refuses(why, stands, lift));
    if callers_role(subject.caller).is_some_and(|(own, role)| own == account && role.eq_ignore_ascii_case(name)) {
        say(format!("{} runs under the role {name}, which is ours in this session", target.function), "built in".into());
    }
    if let Some((_, at)) = listed(&policy.ours.roles, &[name, arn, &format!("{path}{name}")]) {
        say(format!("{} runs under {name}, one of our own roles", target.function), policy.place(Some(*at)));
    }
    out
}

fn last_part(text: &str) -> &str {
    text.rsplit(['/', ':']).next().unwrap_or(text)
}

/// Tags, names, and what holds otherwise.
fn about_function(policy: &Policy, subject: &Subject<'_>, out: &mut Judgement) {
    let function = &subject.target.function;
    let tags = match &subject.known.tags {
        Tags::Read(tags) => Some(tags),
        Tags::NotAsked | Tags::Silent | Tags::Unreadable(_) => None,
    };
    let mut spoken = false;
    for line in &policy.functions {
        let Some(what) = speaks(line, function, tags) else { continue };
        spoken = true;
        let ruled = match line.ruling {
            Ruling::Auto => continue,
            Ruling::Approve if approved(subject) => continue,
            Ruling::Approve => ("contained only with somebody's approval", "an approval by somebody else, or another line in the policy"),
            Ruling::Never => ("never contained", "another line in the policy"),
        };
        let why = format!("{what} is {}: {}", ruled.0, line.why);
        out.refusals.push(Rule::Function.refuses(why, policy.place(Some(line.at)), ruled.1));
    }
    if !policy.tag_ignored {
        for (name, value) in tags.into_iter().flatten().filter(|(name, _)| name.trim().eq_ignore_ascii_case(CONTAIN_TAG)) {
            spoken = true;
            out.refusals.extend(contain_tag(name, value, subject));
        }
    }
    let unread = match &subject.known.tags {
        Tags::Read(_) => None,
        Tags::NotAsked | Tags::Silent => Some("were not asked for".to_string()),
        Tags::Unreadable(why) => Some(format!("could not be read ({why})")),
    };
    match unread.filter(|_| policy.protects_by_tag()) {
        Some(unread) if !approved(subject) => {
            out.wants_tags = !matches!(subject.known.tags, Tags::Unreadable(_));
            let why = format!("the tags of {function} {unread}, and one of them may forbid it");
            let lift = "allow lambda:ListTags on the function, an approval by somebody else, or a policy that protects nothing by tag";
            out.refusals.push(Rule::TagsUnreadable.refuses(why, policy.place(None), lift));
        }
        Some(_) => {}
        None if spoken => {}
        None => out.refusals.extend(otherwise(policy, subject)),
    }
}

/// What the line takes the function for, if it speaks of it. Lines that protect are generous about the case of letters.
fn speaks(line: &Line, function: &str, tags: Option<&std::collections::BTreeMap<String, String>>) -> Option<String> {
    let fits = |glob: &Glob, text: &str| match line.ruling {
        Ruling::Auto => glob.matches(text),
        Ruling::Approve | Ruling::Never => glob.matches_any_case(text),
    };
    match &line.matches {
        Matcher::Name(glob) => fits(glob, function).then(|| format!("{function} (`{}`)", glob.as_str())),
        Matcher::Tag { name, value } => {
            let same = |n: &str| if line.ruling == Ruling::Auto { n == name } else { n.eq_ignore_ascii_case(name) };
            let (name, value) = tags?.iter().find(|(n, v)| same(n) && fits(value, v))?;
            Some(format!("{function} (tag {}={})", tame(name, 128), tame(value, 256)))
        }
    }
}

/// The owner's own word. What is none of the three words is taken for the strictest: somebody meant to protect it.
fn contain_tag(name: &str, value: &str, subject: &Subject<'_>) -> Option<Refusal> {
    let word = value.trim().to_ascii_lowercase();
    let function = &subject.target.function;
    let stands = format!("the function's tag {name}={value}");
    match Ruling::ALL.into_iter().find(|r| r.as_str() == word) {
        Some(Ruling::Auto) => None,
        Some(Ruling::Approve) if approved(subject) => None,
        Some(Ruling::Approve) => Some(Rule::ContainTag.refuses(
            format!("the owner of {function} wants containment approved first"),
            stands,
            "an approval by somebody else, or another value of the tag",
        )),
        Some(Ruling::Never) => Some(Rule::ContainTag.refuses(
            format!("the owner of {function} wants it never contained"),
            stands,
            "another value of the tag, or `contain-tag: ignored` in the policy",
        )),
        None => Some(Rule::ContainTag.refuses(
            format!("the tag of {function} is none of never, approve and auto, so it is taken for never"),
            stands,
            "one of the three words as the tag's value",
        )),
    }
}

/// Nobody spoke of the function: a person may contain it, the automatic face needs an approval.
fn otherwise(policy: &Policy, subject: &Subject<'_>) -> Option<Refusal> {
    let (ruling, at) = match (policy.otherwise, subject.face) {
        (Some((ruling, at)), _) => (ruling, Some(at)),
        (None, Face::Person) => (Ruling::Auto, None),
        (None, Face::Automatic) => (Ruling::Approve, None),
    };
    let function = &subject.target.function;
    match ruling {
        Ruling::Auto => None,
        Ruling::Approve if approved(subject) => None,
        Ruling::Approve => Some(Rule::Otherwise.refuses(
            format!("nobody has said that {function} may be contained without an approval"),
            policy.place(at),
            format!("the tag {CONTAIN_TAG}=auto on the function, a line for it under `functions.auto`, or an approval by somebody else"),
        )),
        Ruling::Never => Some(Rule::Otherwise.refuses(
            format!("nobody has said that {function} may be contained"),
            policy.place(at),
            format!("the tag {CONTAIN_TAG}=auto on the function, or a line for it under `functions.auto`"),
        )),
    }
}

/// Objections to writing to this very role: a function has as many as its versions name.
pub fn one_role(policy: &Policy, subject: &Subject<'_>, arn: &str) -> Vec<Refusal> {
    let mut out = our_role(policy, subject, arn);
    out.extend(role(policy, arn));
    out
}

/// Roles that are not to be written to. The function may be stopped all the same.
fn role(policy: &Policy, arn: &str) -> Vec<Refusal> {
    let Some((_, path, name)) = role_parts(arn) else { return vec![] };
    let mut out = vec![];
    if path.to_ascii_lowercase().starts_with("/aws-service-role/") {
        let why = format!("{name} is a service-linked role, which only its service can change");
        out.push(Rule::ServiceLinkedRole.refuses(why, "built in", "nothing does; contain the function by its concurrency"));
    }
    for line in &policy.roles {
        let by_name = line.name.as_ref().is_none_or(|g| g.matches_any_case(name) || g.matches_any_case(arn));
        let by_path = line.path.as_ref().is_none_or(|g| g.matches_any_case(&path));
        if by_name && by_path {
            let why = format!("the role {name} is never written to: {}", line.why);
            out.push(Rule::Role.refuses(why, policy.place(Some(line.at)), "another line in the policy"));
        }
    }
    out
}

/// Whether a cell lies in something of ours: what it touches is searched for the names that we know. In doubt it does.
pub(super) fn cell(policy: &Policy, ourselves: &super::Ourselves, cell: &Cell) -> Option<Refusal> {
    let texts = cell.touched();
    let mut names: Vec<(Glob, String, &'static str)> = vec![];
    let known = ourselves.function.iter().map(|f| (f, "function")).chain(ourselves.log_group.iter().map(|g| (g, "log group")));
    for (name, kind) in known.chain(ourselves.buckets.iter().map(|b| (b, "bucket"))) {
        names.push((Glob::new(name), "built in".into(), kind));
    }
    let Policy { ours, .. } = policy;
    let lists = [(&ours.functions, "function"), (&ours.roles, "role"), (&ours.buckets, "bucket"), (&ours.keys, "key")];
    for (list, kind) in lists.into_iter().chain([(&ours.log_groups, "log group"), (&ours.others, "resource")]) {
        names.extend(list.iter().map(|(glob, at)| (glob.clone(), policy.place(Some(*at)), kind)));
    }
    let (glob, stands, kind) =
        names.into_iter().find(|(glob, _, _)| texts.iter().any(|t| parts(t).any(|part| glob.matches_any_case(part))))?;
    let why = format!("`{}` touches our own {kind} {}", cell.id.key(), glob.as_str());
    Some(Rule::Ourselves.refuses(why, stands, "nothing does; change it by hand if it must be"))
}

/// The text as a whole, what stands behind each colon, and each piece between slashes and colons: an ARN's resource under all its names.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let tails = text.match_indices(':').map(|(at, _)| &text[at + 1..]);
    std::iter::once(text).chain(tails).chain(text.split(['/', ':']))
}
