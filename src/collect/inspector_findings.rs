//! Inspector: known vulnerabilities in the function's packages and code, whether it is scanned at all, and what is known of their use in the
//! wild. A way in, where one is looked for. Code snippets are not asked for: the code itself is in the bundle.

use super::cx::at_once;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

pub struct InspectorFindings;

const STATUS: Call = Call::read(Service::Inspector, "BatchGetAccountStatus", "inspector2:BatchGetAccountStatus", Scope::Any);
const LIST: Call = Call::read(Service::Inspector, "ListFindings", "inspector2:ListFindings", Scope::Any);
const COVERAGE: Call = Call::read(Service::Inspector, "ListCoverage", "inspector2:ListCoverage", Scope::Any);
const DETAILS: Call = Call::read(Service::Inspector, "BatchGetFindingDetails", "inspector2:BatchGetFindingDetails", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "inspector-findings",
    title: "Inspector findings",
    answers: "Which known vulnerabilities does the function's code have, and was it scanned at all?",
    group: Group::Detections,
    volatility: Volatility::V3,
    calls: &[STATUS, LIST, COVERAGE, DETAILS],
    params: &[Param {
        name: "max-details",
        kind: ParamKind::Count,
        default: "50",
        doc: "Read the details of at most so many findings, newest first; what is left is a gap",
    }],
};

/// Findings in one `BatchGetFindingDetails` (its API reference).
const BATCH: usize = 10;

#[async_trait]
impl Collector for InspectorFindings {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        if is_off(cx).await? {
            let why = "Inspector is not on in this Region, so nothing was scanned, and that there is no finding says nothing";
            return cx.not_applicable("Inspector findings about the function", why).map(drop);
        }
        tokio::try_join!(findings(cx), coverage(cx))?;
        Ok(())
    }
}

/// Whether Inspector says that it is off. Anything else, a refusal included, decides nothing.
async fn is_off(cx: &CollectCx<'_>) -> Result<bool, Abort> {
    let account = &cx.target().account;
    let question = Question::new(&STATUS, "whether Inspector is on, and scans functions and their code");
    let Reply::Got(answer) = cx
        .ask_json(question, cx.aws(), post("BatchGetAccountStatus", &["status", "batch", "get"], json!({"accountIds": [account]}), None))
        .await?
    else {
        return Ok(false);
    };
    let accounts = answer.output["accounts"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(accounts.iter().any(|a| a["accountId"] == *account.as_str() && a["state"]["status"] == "DISABLED"))
}

fn post(operation: &'static str, path: &[&str], mut body: Value, token: Option<String>) -> RawCall {
    if let Some(token) = token {
        body["nextToken"] = token.into();
    }
    RawCall::rest(Service::Inspector, operation, "POST", path, &[], Some(&body))
}

async fn findings(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let arn = cx.target().arn();
    // A function's findings stand under its ARN with `:$LATEST` after it (events of Inspector, AWS's user guide); a bare prefix would also
    // find those of functions whose name begins so.
    let of = json!([{"comparison": "EQUALS", "value": arn}, {"comparison": "PREFIX", "value": format!("{arn}:")}]);
    let body = json!({
        "filterCriteria": {"resourceId": of},
        "sortCriteria": {"field": "LAST_OBSERVED_AT", "sortOrder": "DESC"},
        "maxResults": 100,
    });
    let mut found = vec![];
    let question = Question::new(&LIST, "Inspector findings about the function and its versions, closed and suppressed ones included");
    let members = Members { list: "findings", next: "nextToken" };
    let page = |token| post("ListFindings", &["findings", "list"], body.clone(), token);
    cx.ask_json_list(question, cx.aws(), members, page, |finding| found.extend(text(finding, "findingArn"))).await?;
    let most = usize::try_from(cx.count("max-details")).unwrap_or(usize::MAX);
    if found.len() > most {
        let why = format!("{} findings were listed; the details of {most} were read, as bounded by max-details", found.len());
        cx.gap(GapKind::TooLarge, "details of further Inspector findings", &why)?;
        found.truncate(most);
    }
    let left = Mutex::new(0);
    at_once(found.chunks(BATCH).enumerate().map(|(n, arns)| details(cx, n, arns, &left).boxed())).await?;
    let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
    if left > 0 {
        let why = format!("Inspector could not give the details of {left} findings; its reasons stand in the answers");
        cx.gap(GapKind::Truncated, "details of some Inspector findings", &why)?;
    }
    Ok(())
}

async fn details(cx: &CollectCx<'_>, n: usize, arns: &[String], left: &Mutex<usize>) -> Result<(), Abort> {
    let question = Question::new(&DETAILS, format!("what is known of {} vulnerabilities, batch {}", arns.len(), n + 1));
    let call = post("BatchGetFindingDetails", &["findings", "details", "batch", "get"], json!({"findingArns": arns}), None);
    let Some(out) = cx.ask_json(question, cx.aws(), call).await?.got() else { return Ok(()) };
    // That a finding has no details is an answer.
    let failed = out["errors"].as_array().into_iter().flatten().filter(|e| e["errorCode"] != "FINDING_DETAILS_NOT_FOUND").count();
    *left.lock().unwrap_or_else(PoisonError::into_inner) += failed;
    Ok(())
}

async fn coverage(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let body = json!({
        "filterCriteria": {
            "lambdaFunctionName": [{"comparison": "EQUALS", "value": cx.target().function}],
            "resourceType": [{"comparison": "EQUALS", "value": "AWS_LAMBDA_FUNCTION"}],
        },
        "maxResults": 200,
    });
    let question = Question::new(&COVERAGE, "whether Inspector scans the function, and when it last did");
    let members = Members { list: "coveredResources", next: "nextToken" };
    cx.ask_json_list(question, cx.aws(), members, |token| post("ListCoverage", &["coverage", "list"], body.clone(), token), |_| {}).await?;
    Ok(())
}
