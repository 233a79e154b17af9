//! The names under which a function can be called: its own, its aliases, its published versions. Policies, URLs and warm environments belong
//! to one of them each, so an action on those has a cell for each, named `<function>` or `<function>:<qualifier>`.

use super::{ActCx, ActError};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::params::{Param, ParamKind};

pub(super) const LIST_ALIASES: Call = Call::read(Service::Lambda, "ListAliases", "lambda:ListAliases", Scope::Function);
pub(super) const LIST_VERSIONS: Call =
    Call::read(Service::Lambda, "ListVersionsByFunction", "lambda:ListVersionsByFunction", Scope::Function);

pub(super) const LATEST: &str = "$LATEST";

/// Lambda gives fifty on a page; a list that goes on after this many pages is a bug or an attack.
const PAGES: u32 = 1_000;

/// The end of a list that comes in pages, seen to.
pub(super) struct Pages {
    what: String,
    left: u32,
    marker: Option<String>,
}

impl Pages {
    pub fn of(what: impl Into<String>) -> Self {
        Pages { what: what.into(), left: PAGES, marker: None }
    }
    pub fn what(&self) -> &str {
        &self.what
    }
    /// For the request of the next page.
    pub fn marker(&self) -> Option<String> {
        self.marker.clone()
    }
    /// Whether there is another page, from what the last one said. A list that does not end is no list.
    pub fn more(&mut self, next: Option<&str>) -> Result<bool, ActError> {
        let Some(next) = next.filter(|n| !n.is_empty()) else { return Ok(false) };
        self.left -= 1;
        if self.left == 0 || self.marker.as_deref() == Some(next) {
            return Err(ActError::Refused(format!("{} have no end", self.what)));
        }
        self.marker = Some(next.to_string());
        Ok(true)
    }
}

pub(super) struct Version {
    /// `7`, or `$LATEST`.
    pub name: String,
    /// It runs on managed instances.
    pub managed: bool,
    /// ARN of the role that it was published with.
    pub role: Option<String>,
    pub log_group: Option<String>,
}

/// What Lambda allows in a qualifier, which goes into ARNs, cell ids and policies.
fn plain(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"$_-.".contains(&b))
}

fn checked(what: &str, name: Option<&str>) -> Result<String, ActError> {
    let name = name.unwrap_or_default();
    match plain(name) {
        true => Ok(name.to_string()),
        false => Err(ActError::Refused(format!("AWS stated a name among {what} that is none: `{}`", tame(name, 80)))),
    }
}

pub(super) async fn aliases(cx: &ActCx<'_>) -> Result<Vec<String>, ActError> {
    let function = &cx.target().function;
    let mut pages = Pages::of(format!("the aliases of {function}"));
    let mut all = vec![];
    loop {
        let call = cx.aws().lambda().list_aliases().function_name(function).set_marker(pages.marker()).send();
        let page = cx.call(&LIST_ALIASES, &format!("listing {}", pages.what()), call).await?;
        for alias in page.aliases() {
            all.push(checked(pages.what(), alias.name())?);
        }
        if !pages.more(page.next_marker())? {
            return Ok(all);
        }
    }
}

/// `$LATEST` included.
pub(super) async fn versions(cx: &ActCx<'_>) -> Result<Vec<Version>, ActError> {
    let function = &cx.target().function;
    let mut pages = Pages::of(format!("the versions of {function}"));
    let mut all = vec![];
    loop {
        let call = cx.aws().lambda().list_versions_by_function().function_name(function).set_marker(pages.marker()).send();
        let page = cx.call(&LIST_VERSIONS, &format!("listing {}", pages.what()), call).await?;
        for version in page.versions() {
            let managed = version.capacity_provider_config().is_some();
            all.push(Version {
                name: checked(pages.what(), version.version())?,
                managed,
                role: version.role().filter(|r| !r.is_empty()).map(str::to_string),
                log_group: version.logging_config().and_then(|l| l.log_group()).map(str::to_string),
            });
        }
        if !pages.more(page.next_marker())? {
            return Ok(all);
        }
    }
}

/// The parameter by which a playbook names one of them.
pub(super) const fn only(doc: &'static str) -> Param {
    Param { name: "only", kind: ParamKind::Name, default: "none", doc }
}

/// What the step named with `only`, out of `all`; all of them when it named nothing. A name that is not among them is a slip that would
/// otherwise contain nothing and say that all went well.
pub(super) fn chosen<T>(cx: &ActCx<'_>, all: Vec<T>, what: &str, name: impl Fn(&T) -> &str) -> Result<Vec<T>, ActError> {
    let Some(only) = cx.params().unless_none("only") else { return Ok(all) };
    let known = tame(&all.iter().map(&name).collect::<Vec<_>>().join(", "), 200);
    let chosen: Vec<T> = all.into_iter().filter(|t| name(t) == only).collect();
    match chosen.is_empty() {
        false => Ok(chosen),
        true if known.is_empty() => Err(ActError::Refused(format!("there is no {what} `{}`, and no other", tame(&only, 80)))),
        true => Err(ActError::Refused(format!("there is no {what} `{}`; there are: {known}", tame(&only, 80)))),
    }
}

/// `f`, or `f:live`.
pub(super) fn key(function: &str, qualifier: Option<&str>) -> String {
    qualifier.map_or_else(|| function.to_string(), |q| format!("{function}:{q}"))
}

/// The qualifier of a key that [`key`] made. The id comes from a journal: another function's cell is never touched.
pub(super) fn qualifier<'k>(function: &str, cell: &CellId, key: &'k str) -> Result<Option<&'k str>, ActError> {
    match key.strip_prefix(function).map(|rest| (rest, rest.strip_prefix(':'))) {
        Some(("", _)) => Ok(None),
        Some((_, Some(qualifier))) if plain(qualifier) => Ok(Some(qualifier)),
        _ => Err(ActError::Refused(format!("{} is no cell of {function}", tame(&cell.0, 200)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_cannot_lead_to_another_function() {
        let of = |key: &str| {
            let cell = CellId::new("a", key);
            qualifier("pay", &cell, cell.key()).map(|q| q.map(str::to_string)).ok()
        };
        assert_eq!(of("pay"), Some(None));
        assert_eq!(of(&key("pay", Some("live"))), Some(Some("live".into())));
        assert_eq!(of(&key("pay", Some("$LATEST.PUBLISHED"))), Some(Some("$LATEST.PUBLISHED".into())));
        for bad in ["", "pays", "pay:", "pay:a/b", "pay:a:b", "payments:live", "other", "pay:\u{1b}"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_list_without_end_is_noticed() {
        let mut pages = Pages::of("x");
        assert!(!pages.more(None).unwrap() && !pages.more(Some("")).unwrap());
        assert!(pages.more(Some("1")).unwrap());
        assert_eq!(pages.marker().as_deref(), Some("1"));
        assert!(pages.more(Some("1")).is_err(), "the same page again");
        let mut pages = Pages::of("x");
        assert!((0..2_000).any(|n| pages.more(Some(&n.to_string())).is_err()));
    }
}
