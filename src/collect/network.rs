//! Where the function sits: VPCs, subnets and security groups of all its configurations, and asking EC2 about them.
//!
//! Ids come from answers and go into filters of EC2, where `*` and `?` match other things too: only what has the form of an id is asked about.

use super::capacity;
use super::cx::{Abort, CollectCx};
use super::network_paths::PATHS;
use super::question::{Bound, Pages, Question};
use super::reach::{VpcFact, reaches};
use crate::aws::fault::{FaultClass, tame};
use crate::aws::raw::RawCall;
use crate::aws::xml;
use crate::model::call::Call;
use crate::model::gap::GapKind;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Values that one filter of EC2 takes (API reference of each Describe call).
pub(super) const MAX_VALUES: usize = 200;

/// Sorted, without repetition, of the form of ids, at most [`MAX_VALUES`] each.
pub(super) struct Network {
    pub vpcs: Vec<String>,
    pub subnets: Vec<String>,
    pub groups: Vec<String>,
}

/// Whether it is `prefix` and what EC2 puts behind it.
pub(super) fn is_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| (1..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()))
}

/// The network of the function; `None` when there is nothing to ask about, which has been said. `what` is a plural: "flow logs".
pub(super) async fn network(cx: &CollectCx<'_>, what: &str, elsewhere: &str) -> Result<Option<Network>, Abort> {
    let known = reaches(cx, what).await?;
    let mut whole = known.whole;
    let mut all: Vec<Arc<VpcFact>> = known.all.iter().filter_map(|(_, r)| r.vpc.clone()).map(Arc::new).collect();
    for arn in known.all.iter().filter_map(|(_, r)| r.capacity_provider.as_deref()).collect::<BTreeSet<_>>() {
        match cx.provider(arn).await? {
            Ok(of) => all.push(of),
            // Its own unit has said that there is none.
            Err(fault) if fault.class == FaultClass::NotFound => {}
            Err(fault) => {
                whole = false;
                cx.gap_from_lookup(&capacity::CAPACITY, &fault, &format!("{what} of capacity provider {}", tame(arn, 250)))?;
            }
        }
    }
    if all.is_empty() {
        if whole {
            let why = format!("neither $LATEST nor a published version is attached to a VPC: {elsewhere}");
            cx.not_applicable(what, &why)?;
        }
        return Ok(None);
    }
    let mut ids = Ids { cx, what, odd: 0, left: 0 };
    let subnets = ids.of("subnet-", all.iter().flat_map(|v| &v.subnets));
    let groups = ids.of("sg-", all.iter().flat_map(|v| &v.groups));
    let mut vpcs: BTreeSet<&str> = all.iter().filter_map(|v| v.vpc.as_deref()).collect();
    let described = if subnets.is_empty() { None } else { Some(cx.subnets(&subnets).await?) };
    match &described {
        Some(Ok(of)) => vpcs.extend(of.vpcs.iter().map(String::as_str)),
        // A configuration that names its VPC needs no other word for it.
        Some(Err(fault)) if fault.class != FaultClass::NotFound && all.iter().any(|v| v.vpc.is_none()) => {
            cx.gap_from_lookup(&PATHS, fault, &format!("{what} of the VPC that only its subnets tell"))?;
        }
        Some(Err(_)) | None => {}
    }
    let vpcs = ids.of("vpc-", vpcs.into_iter());
    ids.say()?;
    Ok(Some(Network { vpcs, subnets, groups }))
}

/// Picks ids and remembers what was none, or too many.
struct Ids<'i, 'r> {
    cx: &'i CollectCx<'r>,
    what: &'i str,
    odd: usize,
    left: usize,
}

impl Ids<'_, '_> {
    fn of<T: AsRef<str>>(&mut self, prefix: &str, all: impl Iterator<Item = T>) -> Vec<String> {
        let (ids, odd): (BTreeSet<String>, BTreeSet<String>) = all.map(|t| t.as_ref().to_string()).partition(|t| is_id(prefix, t));
        self.odd += odd.len();
        self.left += ids.len().saturating_sub(MAX_VALUES);
        ids.into_iter().take(MAX_VALUES).collect()
    }

    fn say(&self) -> Result<(), Abort> {
        let Ids { cx, what, odd, left } = self;
        if *odd > 0 {
            let why = format!("{odd} names of subnets, groups or VPCs have not the form of an id; they were not asked about");
            cx.gap(GapKind::Unsupported, &format!("{what} under names of an odd form"), &why)?;
        }
        if *left > 0 {
            let why = format!("the configurations name {left} subnets, groups or VPCs more than are asked about ({MAX_VALUES} of each)");
            cx.gap(GapKind::TooLarge, &format!("{what} of further subnets and groups"), &why)?;
        }
        Ok(())
    }
}

/// A question to EC2 about everything that matches all filters.
pub(super) struct Describe<'q> {
    pub call: &'q Call,
    pub subject: String,
    /// The element that holds the list.
    pub set: &'static str,
    pub filters: &'q [(&'q str, &'q [String])],
}

/// Lists of rules and interfaces of one function; whoever has more than twenty thousand has another problem.
const BOUND: Bound = Bound { pages: 20, bytes: 64 << 20 };

impl CollectCx<'_> {
    /// Ask EC2; `each` sees every page.
    pub(super) async fn describe(&self, what: Describe<'_>, mut each: impl FnMut(&[u8])) -> Result<Pages, Abort> {
        // Routes come a hundred tables at most (API reference of DescribeRouteTables); everything else a thousand.
        let size = if what.call.operation == "DescribeRouteTables" { 100 } else { 1000 };
        let call = |token: Option<String>| RawCall::ec2(what.call.operation, what.filters, size, token.as_deref());
        self.ask_all(
            Question::new(what.call, what.subject),
            BOUND,
            |token| {
                let call = call(token);
                async move { self.aws().raw(call).await }
            },
            |out: &Vec<u8>| xml::first(out, "nextToken"),
            |out| {
                each(&out);
                xml::count_within(&out, what.set, "item")
            },
        )
        .await
    }
}

/// All texts of `name` in the items of a page that have the form of an id.
pub(super) fn ids_in(page: &[u8], name: &str, prefix: &str) -> impl Iterator<Item = String> {
    xml::all_within(page, "item", name).into_iter().filter(move |id| is_id(prefix, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_matches_nothing_else() {
        assert!(is_id("subnet-", "subnet-0a1b2c3d4e5f60718"));
        for odd in ["subnet-", "subnet-*", "subnet-?", "sg-1", "subnet-1,subnet-2", "subnet-A", "subnet-1\\", "*"] {
            assert!(!is_id("subnet-", odd), "{odd}");
        }
    }
}
