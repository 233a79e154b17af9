//! Who else runs under the function's role: every function of the Region (and of further Regions, where they are named), with its role. It
//! decides whether a deny on the role alone would stop innocent functions.
//!
//! The answer of `ListFunctions` holds the environment of every function, secrets included, of functions that are no part of the case. Its
//! bytes are hashed and not kept; what is kept is a table of names, ARNs, roles, versions and dates.

use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, PagesEnd, Question, Volatility};
use crate::aws::fault::{FaultClass, tame};
use crate::model::call::{Call, Scope, Service};
use crate::model::canon;
use crate::model::id::ItemId;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_functions::ListFunctionsOutput;
use serde_json::{Value, json};

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
            let (item, complete) = count(cx, region, role.as_deref(), &mut census).await?;
            from.push(item);
            whole &= complete;
        }
        let sharing = census.iter().filter(|f: &&Value| f["sharesRole"] == true).count();
        let table = json!({"role": role, "regions": regions, "complete": whole, "functions": census.len(), "sharingTheRole": sharing, "census": census});
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

async fn count(cx: &CollectCx<'_>, region: &str, role: Option<&str>, census: &mut Vec<Value>) -> Result<(ItemId, bool), Abort> {
    let elsewhere = cx.aws_in(region);
    let aws = elsewhere.as_ref().unwrap_or(cx.aws());
    let call = || aws.lambda().list_functions();
    let short = |text: Option<&str>| text.map(|t| tame(t, 300));
    let pages = cx
        .ask_all(
            Question::new(&LIST, format!("functions in {region} (counted; the answer is not kept)")).region(region).withhold(WHY),
            Bound::default(),
            |marker| call().set_marker(marker).send(),
            |out: &ListFunctionsOutput| out.next_marker().map(str::to_string),
            |out| {
                census.extend(out.functions().iter().map(|f| {
                    json!({
                        "name": short(f.function_name()),
                        "arn": short(f.function_arn()),
                        "role": short(f.role()),
                        "version": short(f.version()),
                        "lastModified": short(f.last_modified()),
                        "sharesRole": role.is_some() && f.role() == role,
                    })
                }));
                out.functions().len()
            },
        )
        .await?;
    Ok((pages.item, matches!(pages.end, PagesEnd::Complete)))
}
