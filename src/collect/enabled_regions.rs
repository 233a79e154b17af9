//! Which Regions the account can be used in. Whoever searches *all* Regions searches these; a Region that nobody enabled cannot have been used,
//! and one that somebody opted into is where nobody looks.

use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::fault::Fault;
use crate::aws::raw::RawCall;
use crate::aws::xml;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use crate::model::regions;
use async_trait::async_trait;

pub struct EnabledRegions;

pub(super) static ENABLED_REGIONS: CollectorSpec = CollectorSpec {
    id: "enabled-regions",
    title: "Regions of the account",
    answers: "In which Regions can the account, and so a stolen key of it, be used at all?",
    group: Group::Control,
    volatility: Volatility::V3,
    calls: &[Call::read(Service::Ec2, "DescribeRegions", "ec2:DescribeRegions", Scope::Any)],
    params: &[],
};

/// AWS has some forty.
const MANY: usize = 200;

#[async_trait]
impl Collector for EnabledRegions {
    fn spec(&self) -> &'static CollectorSpec {
        &ENABLED_REGIONS
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // The answer's item is written by the shared look-up itself.
        cx.enabled_regions().await?.ok();
        Ok(())
    }
}

/// `cx` must be the context of the `enabled-regions` unit (see `facts.rs`). An answer that names no Region is `None`.
pub(super) async fn ask(cx: &CollectCx<'_>) -> Result<Result<Option<Vec<String>>, Fault>, Abort> {
    let question =
        Question::new(&ENABLED_REGIONS.calls[0], "Regions, and which of them the account has enabled").sensitivity(Sensitivity::S0);
    let call = RawCall::query(Service::Ec2, "DescribeRegions", "2016-11-15", &[("AllRegions", "true")]);
    Ok(match cx.ask(question, cx.aws().raw(call)).await? {
        Reply::Got(answer) => Ok(Some(enabled(&answer.output)).filter(|r| !r.is_empty())),
        Reply::Absent(fault) | Reply::Gap(fault) => Err(fault),
    })
}

fn enabled(answer: &[u8]) -> Vec<String> {
    let listed = xml::records(answer, "regionInfo", "item");
    let mut names: Vec<String> = listed
        .into_iter()
        .filter(|r| r.get("optInStatus").is_none_or(|s| s != "not-opted-in"))
        .filter_map(|mut r| r.remove("regionName"))
        .filter(|name| regions::well_formed(name))
        .take(MANY)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::enabled;

    #[test]
    fn what_is_not_enabled_or_no_name_is_left_out() {
        let item = |name: &str, status: &str| format!("<item><regionName>{name}</regionName><optInStatus>{status}</optInStatus></item>");
        let all = [
            item("us-east-1", "opt-in-not-required"),
            item("af-south-1", "opted-in"),
            item("me-south-1", "not-opted-in"),
            item("evil.example/", "opted-in"),
            "<item><regionName>eu-west-1</regionName></item>".to_string(),
        ];
        let answer = format!("<DescribeRegionsResponse><regionInfo>{}</regionInfo></DescribeRegionsResponse>", all.concat());
        assert_eq!(enabled(answer.as_bytes()), ["af-south-1", "eu-west-1", "us-east-1"]);
        assert!(enabled(b"<html/>").is_empty());
    }
}
