//! A customer-managed runtime (2026): an image of the customer's that Lambda runs around the handler, named by an alias that can be pointed
//! elsewhere without a change to the function. Whoever owns it sees every event and every credential. Read for `$LATEST` and every version:
//! the runtime, where its alias points now, and that version's image, as an image layout of its own.
//!
//! The member is newer than our SDK, so it is read out of the answers themselves.

use super::code;
use super::container_image::{ADDRESS, IMAGE, Layout, images};
use super::cx::at_once;
use super::qualified_configuration::QUALIFIED_CONFIGURATION;
use super::qualifier::{Qualifier, each_version};
use super::raw_list::text;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

pub struct CustomerRuntime;

const RUNTIME: Call = Call::read(Service::LambdaCore, "GetRuntime", "lambda:GetRuntime", Scope::Any);
const ALIAS: Call = Call::read(Service::LambdaCore, "GetRuntimeAlias", "lambda:GetRuntimeAlias", Scope::Any);
const VERSION: Call = Call::read(Service::LambdaCore, "GetRuntimeVersion", "lambda:GetRuntimeVersion", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "customer-runtime",
    title: "Customer-managed runtime",
    answers: "Does the function run on a runtime of the customer's, and what is in it?",
    group: Group::Code,
    // An alias is repointed, and keeps no history.
    volatility: Volatility::V2,
    calls: &[RUNTIME, ALIAS, VERSION, code::DOWNLOAD, IMAGE, ADDRESS],
    params: &[code::MAX_BYTES],
};

/// The date in the operations' addresses (botocore 1.44.5; the API's own is 2026-04-30).
const API: &str = "2026-10-01";

/// Runtime and alias, and who names them.
type Named = Mutex<BTreeMap<(String, String), Vec<String>>>;

#[async_trait]
impl Collector for CustomerRuntime {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let named = Named::default();
        match cx.function().await? {
            Ok(fact) => note(cx, &named, "$LATEST", fact.item)?,
            Err(fault) => drop(cx.gap_from(&fault, "customer-managed runtime of $LATEST")?),
        }
        each_version(cx, "customer-managed runtimes", &|q| of_version(cx, &named, q).boxed()).await?;
        let named = named.into_inner().unwrap_or_else(PoisonError::into_inner);
        if named.is_empty() {
            return cx.not_applicable("customer-managed runtime", "no configuration that could be read names one").map(drop);
        }
        let resolved = Mutex::new(BTreeMap::new());
        at_once(named.iter().map(|((arn, alias), whose)| runtime(cx, arn, alias, whose, &resolved).boxed())).await?;
        images(cx, Layout("runtime"), resolved.into_inner().unwrap_or_else(PoisonError::into_inner)).await
    }
}

async fn of_version(cx: &CollectCx<'_>, named: &Named, q: Qualifier) -> Result<(), Abort> {
    match cx.qualified(&q).await? {
        Ok(fact) => note(cx, named, &q.words, fact.item),
        Err(fault) => cx.gap_from_lookup(&QUALIFIED_CONFIGURATION, &fault, &format!("customer-managed runtime of {}", q.words)).map(drop),
    }
}

fn note(cx: &CollectCx<'_>, named: &Named, whose: &str, item: ItemId) -> Result<(), Abort> {
    let Some(answer) = cx.answer_of(item) else {
        let why = format!("the configuration in item {item} could not be read again");
        return cx.gap(GapKind::Internal, &format!("customer-managed runtime of {whose}"), &why).map(drop);
    };
    let config = &answer["Configuration"]["RuntimeConfig"];
    if let Some(arn) = text(config, "RuntimeArn").filter(|a| !a.is_empty()) {
        let alias = text(config, "RuntimeAlias").unwrap_or_default();
        named.lock().unwrap_or_else(PoisonError::into_inner).entry((base(&arn), alias)).or_default().push(whose.to_string());
    }
    Ok(())
}

/// The runtime itself: its ARN without a version or an alias after it.
fn base(arn: &str) -> String {
    match arn.split_once(":runtime/") {
        Some((before, rest)) => format!("{before}:runtime/{}", rest.split('/').next().unwrap_or_default()),
        None => arn.to_string(),
    }
}

async fn runtime(
    cx: &CollectCx<'_>,
    arn: &str,
    alias: &str,
    whose: &[String],
    resolved: &Mutex<BTreeMap<String, Vec<String>>>,
) -> Result<(), Abort> {
    let get = |operation, path: &[&str]| RawCall::rest(Service::LambdaCore, operation, "GET", path, &[], None);
    let question = Question::new(&RUNTIME, format!("customer-managed runtime {arn}, named by {}", whose.join(", ")));
    cx.ask_json(question, cx.aws(), get("GetRuntime", &[API, "runtimes", arn])).await?;
    let question = Question::new(&ALIAS, format!("where alias {alias} of runtime {arn} points now"));
    let call = get("GetRuntimeAlias", &[API, "runtimes", arn, "aliases", alias]);
    let Reply::Got(answer) = cx.ask_json(question, cx.aws(), call).await? else { return Ok(()) };
    let Some(version) = text(&answer.output, "RuntimeVersion") else {
        let why = "the alias was answered without the version that it points at";
        return cx.gap(GapKind::Unsupported, &format!("version and image of runtime {arn}"), why).map(drop);
    };
    let question = Question::new(&VERSION, format!("version {version} of runtime {arn}: its image, with digests"));
    let call = get("GetRuntimeVersion", &[API, "runtimes", arn, "versions", &version]);
    let Reply::Got(answer) = cx.ask_json(question, cx.aws(), call).await? else { return Ok(()) };
    let Some(uri) = text(&answer.output, "ResolvedUri") else {
        let why = "the version was answered without the address of its image";
        return cx.gap(GapKind::Unsupported, &format!("image of runtime {arn}"), why).map(drop);
    };
    let words = format!("runtime {arn}, version {version}");
    resolved.lock().unwrap_or_else(PoisonError::into_inner).entry(uri).or_default().push(words);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_alias_or_a_version_is_no_part_of_the_runtimes_name() {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:runtime/hardened";
        for given in [arn.to_string(), format!("{arn}/alias/live"), format!("{arn}/version/3")] {
            assert_eq!(super::base(&given), arn);
        }
        assert_eq!(super::base("odd"), "odd");
    }
}
