//! Who else runs under the function's role: every function of the Region (and of further Regions, where they are named), with the roles of all
//! its versions, for a version keeps the role that it was published with and an alias may still point to it. It decides whether a deny on the
//! role alone would stop innocent functions.
//!
//! The answer of `ListFunctions` holds the environment of every function, secrets included, of functions that are no part of the case. Its
//! bytes are hashed and not kept; what is kept is a table of names, ARNs, roles, versions and dates: a line for each function and role.

use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, PagesEnd, Question, Volatility};
use crate::aws::fault::{FaultClass, tame};
use crate::model::call::{Call, Scope, Service};
use crate::model::canon;
use crate::model::id::ItemId;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_functions::ListFunctionsOutput;
use aws_sdk_lambda::types::{FunctionConfiguration, FunctionVersion};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

pub struct SharedRoleCensus;

const LIST: Call = Call::read(Service::Lambda, "ListFunctions", "lambda:ListFunctions", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "shared-role-census",
    title: "Functions that share the role",
    answers: "Which other functions run under the same role, so that a deny on it would stop them too?",
    group: Group::Identity,
    volatility: Volatility::V2,
    calls: &[LIST],
    params: &[Param {
        name: "regions",
        kind: ParamKind::Regions,
        default: "own",
        doc: "Regions to count functions in: `own`, `home` (with the partition's global one), `all` that the account has enabled, or names",
    }],
};

/// IAM paths have up to 512 characters.
const LONGEST_ARN: usize = 700;

const WHY: &str = "it holds the environment values of functions that are no part of the case";

#[async_trait]
impl Collector for SharedRoleCensus {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let role = match cx.function_or_told().await? {
            Ok(fact) => fact.role_arn.clone(),
            // Nobody knows the role of a function that is gone; who has which is worth knowing all the same.
            Err(fault) if fault.class == FaultClass::NotFound => None,
            Err(fault) => {
                cx.gap_from(&fault, "which of the functions share the role")?;
                None
            }
        };
        let regions = cx.regions("regions").await?;
        let (mut census, mut from, mut whole) = (vec![], vec![], true);
        for region in &regions {
            let (item, complete) = count(cx, region, &mut census).await?;
            from.push(item);
            whole &= complete;
        }
        let census: Vec<Value> = census.iter().map(|line: &Line| line.shown(role.as_deref())).collect();
        let sharing: BTreeSet<&str> = census.iter().filter(|l| l["sharesRole"] == true).filter_map(|l| l["arn"].as_str()).collect();
        let functions: BTreeSet<&str> = census.iter().filter_map(|l| l["arn"].as_str()).collect();
        let (sharing, functions) = (sharing.len(), functions.len());
        let table = json!({"role": role, "regions": regions, "complete": whole, "functions": functions, "sharingTheRole": sharing, "census": census});
        let subject = if whole {
            "functions and their roles, without their environment"
        } else {
            "functions and their roles, as far as they could be listed"
        };
        match canon::to_vec("the census", &table) {
            Ok(bytes) if whole || !census.is_empty() => {
                cx.derive(subject, "role-census", "json", &bytes, from, Sensitivity::S1).map(drop)?
            }
            // Nothing was listed: the list's own item says why.
            _ => {}
        }
        Ok(())
    }
}

/// One function under one role.
#[derive(Default)]
struct Line {
    name: Option<String>,
    /// Without a version.
    arn: Option<String>,
    /// As AWS told it: two roles are compared by all of their names, however long a path somebody gave them.
    role: Option<String>,
    versions: Vec<String>,
    last_modified: Option<String>,
}

impl Line {
    fn shown(&self, role: Option<&str>) -> Value {
        let Line { name, arn, versions, last_modified, .. } = self;
        let shares = role.is_some() && self.role.as_deref() == role;
        let role_shown = self.role.as_deref().map(|r| tame(r, LONGEST_ARN));
        json!({"name": name, "arn": arn, "role": role_shown, "versions": versions, "lastModified": last_modified, "sharesRole": shares})
    }
}

/// The list tells versions one by one; those of one function under one role are one line, as late as the latest of them.
fn note(census: &mut Vec<Line>, at: &mut HashMap<(Option<String>, Option<String>), usize>, f: &FunctionConfiguration) {
    let short = |text: Option<&str>| text.map(|t| tame(t, 300));
    let version = short(f.version());
    let bare = |arn: String| version.as_deref().and_then(|v| arn.strip_suffix(v)?.strip_suffix(':')).map_or(arn.clone(), str::to_string);
    let (arn, role) = (short(f.function_arn()).map(bare), f.role().map(str::to_string));
    let index = *at.entry((arn.clone(), role.clone())).or_insert_with(|| {
        census.push(Line { name: short(f.function_name()), arn, role, ..Line::default() });
        census.len() - 1
    });
    let line = &mut census[index];
    line.last_modified = short(f.last_modified()).max(line.last_modified.take());
    line.versions.extend(version.clone());
}

async fn count(cx: &CollectCx<'_>, region: &str, census: &mut Vec<Line>) -> Result<(ItemId, bool), Abort> {
    let elsewhere = cx.aws_in(region);
    let aws = elsewhere.as_ref().unwrap_or(cx.aws());
    let call = || aws.lambda().list_functions().function_version(FunctionVersion::All);
    let mut at = HashMap::new();
    let pages = cx
        .ask_all(
            Question::new(&LIST, format!("functions in {region} (counted; the answer is not kept)")).region(region).withhold(WHY),
            // Each version repeats its whole configuration; none of it is kept.
            Bound { bytes: u64::MAX, ..Bound::default() },
            |marker| call().set_marker(marker).send(),
            |out: &ListFunctionsOutput| out.next_marker().map(str::to_string),
            |out| {
                out.functions().iter().for_each(|f| note(census, &mut at, f));
                out.functions().len()
            },
        )
        .await?;
    Ok((pages.item, matches!(pages.end, PagesEnd::Complete)))
}
