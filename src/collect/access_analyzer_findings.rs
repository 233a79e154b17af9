//! IAM Access Analyzer: AWS's own reasoning about who, outside the account or the organisation, reaches the function, its layers or its role,
//! and what the role does not use. It reasons over policies as they stand, with conditions and service control policies, as no reader does.

use super::cx::at_once;
use super::qualified::is_ours;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, PagesEnd, Question, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub struct AccessAnalyzerFindings;

const ANALYZERS: Call = Call::read(Service::AccessAnalyzer, "ListAnalyzers", "access-analyzer:ListAnalyzers", Scope::Any);
const LIST: Call = Call::read(Service::AccessAnalyzer, "ListFindingsV2", "access-analyzer:ListFindings", Scope::Any);
const GET: Call = Call::read(Service::AccessAnalyzer, "GetFindingV2", "access-analyzer:GetFinding", Scope::Any);
const RESOURCE: Call = Call::read(Service::AccessAnalyzer, "GetAnalyzedResource", "access-analyzer:GetAnalyzedResource", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "access-analyzer-findings",
    title: "Access Analyzer findings",
    answers: "Who from outside reaches the function, its layers or its role, by AWS's own reasoning?",
    group: Group::Detections,
    // Findings are resolved when the policy changes, and kept for ninety days after.
    volatility: Volatility::V3,
    calls: &[ANALYZERS, LIST, GET, RESOURCE],
    params: &[Param {
        name: "max-findings",
        kind: ParamKind::Count,
        default: "50",
        doc: "Read at most so many findings in full; what is left is a gap",
    }],
};

/// An account may have a few of each kind.
const MAX_ANALYZERS: usize = 20;
/// Values that one filter takes (`ValueList`).
const VALUES: usize = 20;

struct Analyzer {
    arn: String,
    /// `ACCOUNT`, `ORGANIZATION_UNUSED_ACCESS`, …
    kind: String,
}

#[async_trait]
impl Collector for AccessAnalyzerFindings {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut analyzers = vec![];
        let page = |token: Option<String>| {
            let query: Vec<_> = token.as_deref().map(|t| ("nextToken", t)).into_iter().collect();
            RawCall::rest(Service::AccessAnalyzer, "ListAnalyzers", "GET", &["analyzer"], &query, None)
        };
        let members = Members { list: "analyzers", next: "nextToken" };
        let pages = cx
            .ask_json_list(Question::new(&ANALYZERS, "access analyzers in this Region"), cx.aws(), members, page, |a| {
                analyzers.extend(text(a, "arn").map(|arn| Analyzer { arn, kind: text(a, "type").unwrap_or_default() }));
            })
            .await?;
        if analyzers.is_empty() {
            if matches!(pages.end, PagesEnd::Complete) {
                let why = "Access Analyzer is not on in this Region: it has no analyzer, so nothing was judged";
                cx.not_applicable("Access Analyzer findings about the function, its layers and its role", why)?;
            }
            return Ok(());
        }
        if analyzers.len() > MAX_ANALYZERS {
            cx.gap(GapKind::TooLarge, "further access analyzers", &format!("{} are listed; {MAX_ANALYZERS} were asked", analyzers.len()))?;
            analyzers.truncate(MAX_ANALYZERS);
        }
        let others = others(cx).await?;
        at_once(analyzers.iter().map(|a| by(cx, a, &others).boxed())).await
    }
}

/// The role, and those layers of `$LATEST` that are the account's own: of others it judges nothing.
async fn others(cx: &CollectCx<'_>) -> Result<Vec<String>, Abort> {
    Ok(match cx.function_or_told().await? {
        Ok(fact) => {
            let own = |arn: &&String| arn.split(':').nth(4) == Some(cx.target().account.as_str());
            fact.role_arn.iter().chain(fact.layers.iter().map(|l| &l.arn).filter(own)).cloned().collect()
        }
        Err(fault) => {
            cx.gap_from(&fault, "Access Analyzer findings about the execution role and the layers")?;
            vec![]
        }
    })
}

async fn by(cx: &CollectCx<'_>, analyzer: &Analyzer, others: &[String]) -> Result<(), Abort> {
    let found = Mutex::new(BTreeSet::new());
    // `contains` finds every qualifier, and functions whose name begins so: those are listed with it and not read.
    let ours = |resource: &str| is_ours(cx, resource) || others.iter().any(|o| o == resource);
    let of_function = list(cx, analyzer, "the function and its qualifiers", json!({"contains": [cx.target().arn()]}), &ours, &found);
    let of_others =
        at_once(others.chunks(VALUES).map(|arns| list(cx, analyzer, "its role and layers", json!({"eq": arns}), &ours, &found).boxed()));
    tokio::try_join!(of_function, of_others, analyzed(cx, analyzer, others))?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let most = usize::try_from(cx.count("max-findings")).unwrap_or(usize::MAX);
    if found.len() > most {
        let why = format!("{} findings were listed, {most} read in full, as bounded by max-findings", found.len());
        cx.gap(GapKind::TooLarge, &format!("further findings of {} in full", analyzer.arn), &why)?;
    }
    at_once(found.into_iter().take(most).map(|id| in_full(cx, analyzer, id).boxed())).await
}

async fn list(
    cx: &CollectCx<'_>,
    analyzer: &Analyzer,
    about: &str,
    filter: Value,
    ours: &(dyn Fn(&str) -> bool + Sync),
    found: &Mutex<BTreeSet<String>>,
) -> Result<(), Abort> {
    let page = |token: Option<String>| {
        let mut body = json!({"analyzerArn": analyzer.arn, "filter": {"resource": filter}, "maxResults": 100});
        if let Some(token) = token {
            body["nextToken"] = token.into();
        }
        RawCall::rest(Service::AccessAnalyzer, "ListFindingsV2", "POST", &["findingv2"], &[], Some(&body))
    };
    let question = Question::new(&LIST, format!("findings of {} ({}) about {about}", analyzer.arn, analyzer.kind));
    cx.ask_json_list(question, cx.aws(), Members { list: "findings", next: "nextToken" }, page, |finding| {
        if finding["resource"].as_str().is_some_and(ours) {
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(text(finding, "id"));
        }
    })
    .await?;
    Ok(())
}

async fn in_full(cx: &CollectCx<'_>, analyzer: &Analyzer, id: String) -> Result<(), Abort> {
    let page = |token: Option<String>| {
        let mut query = vec![("analyzerArn", analyzer.arn.as_str())];
        query.extend(token.as_deref().map(|t| ("nextToken", t)));
        RawCall::rest(Service::AccessAnalyzer, "GetFindingV2", "GET", &["findingv2", &id], &query, None)
    };
    let question = Question::new(&GET, format!("finding {id} of {}", analyzer.arn));
    cx.ask_json_list(question, cx.aws(), Members { list: "findingDetails", next: "nextToken" }, page, |_| {}).await?;
    Ok(())
}

/// When it was last judged, and with what result. Analyzers of external access alone answer this (API reference).
async fn analyzed(cx: &CollectCx<'_>, analyzer: &Analyzer, others: &[String]) -> Result<(), Abort> {
    if !["ACCOUNT", "ORGANIZATION"].contains(&analyzer.kind.as_str()) {
        return Ok(());
    }
    let function = cx.target().arn();
    for resource in [function.as_str()].into_iter().chain(others.iter().map(String::as_str)) {
        let query = [("analyzerArn", analyzer.arn.as_str()), ("resourceArn", resource)];
        let call = RawCall::rest(Service::AccessAnalyzer, "GetAnalyzedResource", "GET", &["analyzed-resource"], &query, None);
        let question = Question::new(&RESOURCE, format!("when {} last judged {resource}, and how", analyzer.arn));
        cx.ask_json(question, cx.aws(), call).await?;
    }
    Ok(())
}
