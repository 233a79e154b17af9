//! GuardDuty: what it watches here, and its findings about the function and about its role's credentials. Silence means something only where
//! it was on, so the detector is read first, and an account without one is an answer in words.
//!
//! What it never asks: `ListCoverage`. Its resources are EKS, ECS and EC2 only (`CoverageResourceDetails`, botocore 1.44.5); whether Lambda is
//! watched stands in the detector, as the feature `LAMBDA_NETWORK_LOGS`.

use super::cx::at_once;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, PagesEnd, Question, Reply, Volatility};
use crate::aws::fault::tame;
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

pub struct GuarddutyFindings;

const DETECTORS: Call = Call::read(Service::Guardduty, "ListDetectors", "guardduty:ListDetectors", Scope::Any);
const DETECTOR: Call = Call::read(Service::Guardduty, "GetDetector", "guardduty:GetDetector", Scope::Any);
const LIST: Call = Call::read(Service::Guardduty, "ListFindings", "guardduty:ListFindings", Scope::Any);
const GET: Call = Call::read(Service::Guardduty, "GetFindings", "guardduty:GetFindings", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "guardduty-findings",
    title: "GuardDuty findings",
    answers: "Has GuardDuty reported the function or its role's credentials, and would it have seen anything?",
    group: Group::Detections,
    // Findings are kept for ninety days.
    volatility: Volatility::V3,
    calls: &[DETECTORS, DETECTOR, LIST, GET],
    params: &[Param {
        name: "max-findings",
        kind: ParamKind::Count,
        default: "200",
        doc: "Read at most so many findings in full, newest first; what is left is a gap",
    }],
};

/// There is one in a Region (`CreateDetector`'s API reference); more is somebody's joke.
const MAX_DETECTORS: usize = 5;
/// Findings in one `GetFindings` (its API reference).
const BATCH: usize = 50;

/// Findings as the lists name them, in their order (newest first), and what they were found by.
#[derive(Default)]
struct Found {
    order: Vec<String>,
    by: BTreeMap<String, Vec<&'static str>>,
}

/// What goes into the table.
#[derive(Default)]
struct Table {
    detectors: Vec<Value>,
    findings: Vec<Value>,
    from: Vec<ItemId>,
}

#[async_trait]
impl Collector for GuarddutyFindings {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut detectors = vec![];
        let page = |token: Option<String>| {
            let query: Vec<_> = token.as_deref().map(|t| ("nextToken", t)).into_iter().collect();
            RawCall::rest(Service::Guardduty, "ListDetectors", "GET", &["detector"], &query, None)
        };
        let question = Question::new(&DETECTORS, "GuardDuty detectors in this Region");
        let pages = cx
            .ask_json_list(question, cx.aws(), Members { list: "detectorIds", next: "nextToken" }, page, |id| {
                detectors.extend(id.as_str().map(str::to_string));
            })
            .await?;
        if detectors.is_empty() {
            if matches!(pages.end, PagesEnd::Complete) {
                let why = "GuardDuty is not on in this Region: it has no detector, so nothing was watched, and that there is no finding says nothing";
                cx.not_applicable("GuardDuty findings about the function and its role", why)?;
            }
            return Ok(());
        }
        if detectors.len() > MAX_DETECTORS {
            cx.gap(
                GapKind::TooLarge,
                "further GuardDuty detectors",
                &format!("{} are listed; {MAX_DETECTORS} were read", detectors.len()),
            )?;
        }
        let table = Mutex::new(Table::default());
        at_once(detectors.into_iter().take(MAX_DETECTORS).map(|id| detector(cx, id, &table).boxed())).await?;
        write(cx, table.into_inner().unwrap_or_else(PoisonError::into_inner)).await
    }
}

async fn detector(cx: &CollectCx<'_>, id: String, table: &Mutex<Table>) -> Result<(), Abort> {
    let found = Mutex::new(Found::default());
    let of_function = json!({"resource.lambdaDetails.functionName": {"equals": [cx.target().function]}});
    tokio::try_join!(about(cx, &id, table), list(cx, &id, "function", of_function, &found), of_role(cx, &id, &found))?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let most = usize::try_from(cx.count("max-findings")).unwrap_or(usize::MAX);
    if found.order.len() > most {
        let why = format!("{} findings were listed, {most} read in full, as bounded by max-findings", found.order.len());
        cx.gap(GapKind::TooLarge, "further GuardDuty findings in full", &why)?;
    }
    let wanted: Vec<&String> = found.order.iter().take(most).collect();
    at_once(wanted.chunks(BATCH).enumerate().map(|(n, ids)| in_full(cx, &id, n, ids.to_vec(), &found.by, table).boxed())).await
}

/// Whether it is on, and what it watches.
async fn about(cx: &CollectCx<'_>, id: &str, table: &Mutex<Table>) -> Result<(), Abort> {
    let call = RawCall::rest(Service::Guardduty, "GetDetector", "GET", &["detector", id], &[], None);
    let question = Question::new(&DETECTOR, format!("GuardDuty detector {id}: whether it is on, and what it watches"));
    let Some(answer) = cx.ask_json(question, cx.aws(), call).await?.answer() else { return Ok(()) };
    let features = answer.output["features"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lambda = features.iter().find(|f| f["name"] == "LAMBDA_NETWORK_LOGS");
    let row = json!({
        "detector": tame(id, 300),
        "status": said(&answer.output["status"]),
        // Null where AWS did not say: unknown is never clean.
        "lambdaProtection": lambda.and_then(|f| said(&f["status"])),
        "lambdaProtectionSince": lambda.map(|f| f["updatedAt"].clone()).filter(Value::is_number),
    });
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    table.detectors.push(row);
    table.from.push(answer.item);
    Ok(())
}

/// Findings about credentials name the role; a session of it anywhere counts, not this function's alone.
async fn of_role(cx: &CollectCx<'_>, id: &str, found: &Mutex<Found>) -> Result<(), Abort> {
    const SUBJECT: &str = "GuardDuty findings about the credentials of the execution role";
    let fact = match cx.function_or_told().await? {
        Ok(fact) => fact,
        Err(fault) => return cx.gap_from(&fault, SUBJECT).map(drop),
    };
    let Some(role) = fact.role_name() else { return cx.gap_without_role(SUBJECT).map(drop) };
    list(cx, id, "role", json!({"resource.accessKeyDetails.userName": {"equals": [role]}}), found).await
}

async fn list(cx: &CollectCx<'_>, id: &str, about: &'static str, criterion: Value, found: &Mutex<Found>) -> Result<(), Abort> {
    let page = |token: Option<String>| {
        let mut body = json!({
            "findingCriteria": {"criterion": criterion},
            "sortCriteria": {"attributeName": "updatedAt", "orderBy": "DESC"},
            "maxResults": 50,
        });
        if let Some(token) = token {
            body["nextToken"] = token.into();
        }
        RawCall::rest(Service::Guardduty, "ListFindings", "POST", &["detector", id, "findings"], &[], Some(&body))
    };
    // Archived ones too: an attacker who may archives what tells of him.
    let question = Question::new(&LIST, format!("GuardDuty findings about the {about}, archived ones included, by detector {id}"));
    cx.ask_json_list(question, cx.aws(), Members { list: "findingIds", next: "nextToken" }, page, |finding| {
        let Some(finding) = finding.as_str() else { return };
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let by = found.by.entry(finding.to_string()).or_default();
        by.push(about);
        if by.len() == 1 {
            found.order.push(finding.to_string());
        }
    })
    .await?;
    Ok(())
}

async fn in_full(
    cx: &CollectCx<'_>,
    id: &str,
    n: usize,
    ids: Vec<&String>,
    by: &BTreeMap<String, Vec<&'static str>>,
    table: &Mutex<Table>,
) -> Result<(), Abort> {
    let subject = format!("GuardDuty findings in full, batch {} of detector {id}: {} findings", n + 1, ids.len());
    let body = json!({"findingIds": ids, "sortCriteria": {"attributeName": "updatedAt", "orderBy": "DESC"}});
    let call = RawCall::rest(Service::Guardduty, "GetFindings", "POST", &["detector", id, "findings", "get"], &[], Some(&body));
    // Addresses, names and what the function called.
    let Reply::Got(answer) = cx.ask_json(Question::new(&GET, &subject).sensitivity(Sensitivity::S2), cx.aws(), call).await? else {
        return Ok(());
    };
    let findings = answer.output["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    if findings.len() < ids.len() {
        let why = format!("GuardDuty answered with {} of them: the others ended in between, or were left out", findings.len());
        cx.gap(GapKind::Truncated, &format!("some of: {subject}"), &why)?;
    }
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    table.from.push(answer.item);
    table.findings.extend(findings.iter().map(|f| row(f, by)));
    Ok(())
}

/// Strangers' words, bounded.
fn said(value: &Value) -> Option<String> {
    value.as_str().map(|t| tame(t, 300))
}

fn row(finding: &Value, by: &BTreeMap<String, Vec<&'static str>>) -> Value {
    let lambda = &finding["resource"]["lambdaDetails"];
    let service = &finding["service"];
    json!({
        "id": said(&finding["id"]),
        "type": said(&finding["type"]),
        "severity": finding["severity"].as_f64(),
        "title": said(&finding["title"]),
        "foundBy": text(finding, "id").and_then(|id| by.get(&id)),
        "firstSeen": said(&service["eventFirstSeen"]),
        "lastSeen": said(&service["eventLastSeen"]),
        "count": service["count"].as_i64(),
        "archived": service["archived"].as_bool(),
        "functionArn": said(&lambda["functionArn"]),
        "functionVersion": said(&lambda["functionVersion"]),
        // Pins the revision that did it.
        "revisionId": said(&lambda["revisionId"]),
        "session": said(&finding["resource"]["accessKeyDetails"]["principalId"]),
    })
}

/// One table: what was on, and what was found, each beside the revision that is there now.
async fn write(cx: &CollectCx<'_>, table: Table) -> Result<(), Abort> {
    if table.from.is_empty() {
        // The gaps, or the 404s, say what is open.
        return Ok(());
    }
    let now = cx.function().await?.ok().and_then(|f| f.revision_id.as_deref().map(|r| tame(r, 300)));
    let Table { mut detectors, mut findings, mut from } = table;
    detectors.sort_by_key(|d| d["detector"].to_string());
    findings.sort_by_key(|f| (f["lastSeen"].to_string(), f["id"].to_string()));
    findings.reverse();
    from.sort();
    let document = json!({
        "region": cx.target().region,
        "detectors": detectors,
        "revisionOfLatestNow": now,
        "findings": findings,
        "notes": [
            "Lambda Protection (`lambdaProtection`) watches the function's network traffic; findings about the role's credentials need only that the detector is on.",
            "GuardDuty keeps findings for ninety days, and reports again on the same only by raising its count.",
        ],
    });
    let bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    cx.derive(
        "GuardDuty in one table: what it watches, and findings with their revision",
        "guardduty",
        "json",
        &bytes,
        from,
        Sensitivity::S2,
    )?;
    Ok(())
}
