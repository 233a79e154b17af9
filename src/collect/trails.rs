//! The account's trails: which events are kept, where, and since when. They say what *could* have been seen, and so every negative statement
//! about what was not seen rests on them. Event data stores are described for who has them; nothing depends on one (CloudTrail Lake takes no
//! new customers since 2026-05-31).

use super::cx::at_once;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use aws_sdk_cloudtrail::operation::describe_trails::DescribeTrailsOutput;
use aws_sdk_cloudtrail::operation::get_event_configuration::GetEventConfigurationOutput;
use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use aws_sdk_cloudtrail::operation::list_event_data_stores::ListEventDataStoresOutput;
use aws_sdk_cloudtrail::types::{AdvancedEventSelector, Trail};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

pub struct Trails;

const DESCRIBE: Call = Call::read(Service::Cloudtrail, "DescribeTrails", "cloudtrail:DescribeTrails", Scope::Any);
const STATUS: Call = Call::read(Service::Cloudtrail, "GetTrailStatus", "cloudtrail:GetTrailStatus", Scope::Any);
const SELECTORS: Call = Call::read(Service::Cloudtrail, "GetEventSelectors", "cloudtrail:GetEventSelectors", Scope::Any);
const INSIGHTS: Call = Call::read(Service::Cloudtrail, "GetInsightSelectors", "cloudtrail:GetInsightSelectors", Scope::Any);
/// What events are enriched with (tags, condition keys) and how large they may become; newer than the other three.
const ENRICHED: Call = Call::read(Service::Cloudtrail, "GetEventConfiguration", "cloudtrail:GetEventConfiguration", Scope::Any);
const STORES: Call = Call::read(Service::Cloudtrail, "ListEventDataStores", "cloudtrail:ListEventDataStores", Scope::Any);
const STORE: Call = Call::read(Service::Cloudtrail, "GetEventDataStore", "cloudtrail:GetEventDataStore", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "trails",
    title: "Trails and what they record",
    answers: "Which calls could have been recorded at all, and since when?",
    group: Group::Control,
    volatility: Volatility::V2,
    calls: &[DESCRIBE, STATUS, SELECTORS, INSIGHTS, ENRICHED, STORES, STORE],
    params: &[],
};

/// An account may have five trails in a Region, and sees those of its organisation and of other Regions.
const MANY: usize = 200;

#[async_trait]
impl Collector for Trails {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        tokio::try_join!(trails(cx), stores(cx))?;
        Ok(())
    }
}

async fn trails(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let mut found: Vec<Trail> = vec![];
    let pages = cx
        .ask_all(
            Question::new(&DESCRIBE, "trails that record in this Region, the organisation's and those of other Regions included"),
            Bound::default(),
            |_| cx.aws().cloudtrail().describe_trails().send(),
            |_: &DescribeTrailsOutput| None,
            |out| {
                found.extend_from_slice(out.trail_list());
                out.trail_list().len()
            },
        )
        .await?;
    if pages.read == 0 {
        return Ok(());
    }
    if found.len() > MANY {
        cx.gap(GapKind::TooLarge, "further trails", &format!("{} trails are listed; the first {MANY} were asked about", found.len()))?;
        found.truncate(MANY);
    }
    let table = Mutex::new(vec![]);
    let from = Mutex::new(vec![pages.item]);
    at_once(found.iter().map(|trail| one(cx, trail, &table, &from).boxed())).await?;
    let mut rows = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|r: &Value| r["arn"].to_string());
    let document = json!({
        "region": cx.target().region,
        "trails": rows,
        "notes": [
            "The event history (LookupEvents) keeps management events of 90 days with or without a trail.",
            "Calls on data (S3 objects, DynamoDB items, invocations of functions) are recorded only where `dataEvents` names them.",
        ],
    });
    let bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    let from = from.into_inner().unwrap_or_else(PoisonError::into_inner);
    cx.derive("what the trails record, in one table", "trails", "json", &bytes, from, Sensitivity::S1)?;
    Ok(())
}

async fn one(cx: &CollectCx<'_>, trail: &Trail, table: &Mutex<Vec<Value>>, from: &Mutex<Vec<ItemId>>) -> Result<(), Abort> {
    // Shadow trails (of other Regions) answer to their ARN only.
    let Some(name) = trail.trail_arn().or(trail.name()) else {
        return cx.gap(GapKind::Unsupported, "a trail", "it is listed without a name").map(drop);
    };
    let organisation = trail.is_organization_trail().unwrap_or(false);
    let what = if organisation { "organisation trail" } else { "trail" };
    let client = cx.aws().cloudtrail();
    let (status, selectors, _, enriched) = tokio::try_join!(
        cx.ask(Question::new(&STATUS, format!("status of {what} {name}")), client.get_trail_status().name(name).send()),
        cx.ask(
            Question::new(&SELECTORS, format!("event selectors of {what} {name}")),
            client.get_event_selectors().trail_name(name).send()
        ),
        cx.ask(
            Question::new(&INSIGHTS, format!("Insights selectors of {what} {name}"))
                .not_in_use(&[("InsightNotEnabledException", "the trail has no Insights events")]),
            client.get_insight_selectors().trail_name(name).send()
        ),
        cx.ask(
            Question::new(&ENRICHED, format!("event configuration of {what} {name}")),
            client.get_event_configuration().trail_name(name).send()
        ),
    )?;
    let mut items = vec![];
    let status = status.answer().map(|a| {
        items.push(a.item);
        a.output
    });
    let selectors = selectors.answer().map(|a| {
        items.push(a.item);
        a.output
    });
    let enriched = enriched.answer().map(|a| {
        items.push(a.item);
        a.output
    });
    from.lock().unwrap_or_else(PoisonError::into_inner).extend(items);
    let row = row(trail, status.as_ref(), selectors.as_ref(), enriched.as_ref());
    table.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    Ok(())
}

/// Strangers' names, bounded.
fn said(text: Option<&str>) -> Option<String> {
    text.map(|t| tame(t, 300))
}

/// `null` where AWS did not say: unknown is never clean.
fn row(
    trail: &Trail,
    status: Option<&GetTrailStatusOutput>,
    selectors: Option<&GetEventSelectorsOutput>,
    enriched: Option<&GetEventConfigurationOutput>,
) -> Value {
    let at = |t: Option<&aws_smithy_types::DateTime>| t.map(ToString::to_string);
    json!({
        "arn": said(trail.trail_arn()),
        "name": said(trail.name()),
        "homeRegion": said(trail.home_region()),
        "ofOrganisation": trail.is_organization_trail(),
        "allRegions": trail.is_multi_region_trail(),
        "globalServices": trail.include_global_service_events(),
        "logFileValidation": trail.log_file_validation_enabled(),
        "bucket": said(trail.s3_bucket_name()),
        "prefix": said(trail.s3_key_prefix()),
        "kmsKey": said(trail.kms_key_id()),
        "logGroup": said(trail.cloud_watch_logs_log_group_arn()),
        "isLogging": status.and_then(|s| s.is_logging()),
        "startedLogging": status.and_then(|s| at(s.start_logging_time())),
        "stoppedLogging": status.and_then(|s| at(s.stop_logging_time())),
        "latestDelivery": status.and_then(|s| at(s.latest_delivery_time())),
        "latestDeliveryError": status.and_then(|s| said(s.latest_delivery_error())),
        "latestDigest": status.and_then(|s| at(s.latest_digest_delivery_time())),
        "selectors": selectors.map(kept),
        "eventSize": enriched.and_then(|e| e.max_event_size()).map(|s| s.as_str()),
        "enrichedWith": enriched.map(|e| {
            let keys = e.context_key_selectors().iter().take(10);
            keys.map(|k| json!({"type": k.r#type().as_str(), "keys": tamed(k.equals())})).collect::<Vec<_>>()
        }),
    })
}

/// Which events the selectors keep, in the words of whichever kind of selector the trail has.
fn kept(out: &GetEventSelectorsOutput) -> Value {
    let mut management: Vec<Value> = vec![];
    let mut data: Vec<Value> = vec![];
    for s in out.event_selectors() {
        if s.include_management_events() == Some(true) {
            management.push(json!({"readWrite": s.read_write_type().map(|t| t.as_str()), "without": s.exclude_management_event_sources()}));
        }
        for d in s.data_resources() {
            let values: Vec<String> = d.values().iter().take(100).map(|v| tame(v, 300)).collect();
            data.push(json!({"type": said(d.r#type()), "values": values}));
        }
    }
    for s in out.advanced_event_selectors() {
        let (category, entry) = advanced(s);
        if category { management.push(entry) } else { data.push(entry) }
    }
    json!({"managementEvents": management, "dataEvents": data})
}

/// Whether it is about management events, and what it keeps.
fn advanced(s: &AdvancedEventSelector) -> (bool, Value) {
    let fields: Vec<Value> = s
        .field_selectors()
        .iter()
        .take(100)
        .map(|f| {
            json!({"field": tame(f.field(), 100), "equals": tamed(f.equals()), "startsWith": tamed(f.starts_with()),
                    "endsWith": tamed(f.ends_with()), "notEquals": tamed(f.not_equals()), "notStartsWith": tamed(f.not_starts_with()),
                    "notEndsWith": tamed(f.not_ends_with())})
        })
        .collect();
    let is = |category: &str| s.field_selectors().iter().any(|f| f.field() == "eventCategory" && f.equals().iter().any(|e| e == category));
    (is("Management"), json!({"name": said(s.name()), "fields": fields}))
}

fn tamed(values: &[String]) -> Vec<String> {
    values.iter().take(100).map(|v| tame(v, 300)).collect()
}

async fn stores(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let mut found: Vec<String> = vec![];
    let call = || cx.aws().cloudtrail().list_event_data_stores();
    cx.ask_pages(
        Question::new(&STORES, "event data stores of CloudTrail Lake"),
        Bound::default(),
        |token| call().set_next_token(token).send(),
        |out: &ListEventDataStoresOutput| out.next_token().map(str::to_string),
        |out| {
            found.extend(out.event_data_stores().iter().filter_map(|s| s.event_data_store_arn().map(str::to_string)));
            out.event_data_stores().len()
        },
    )
    .await?;
    if found.len() > MANY {
        cx.gap(GapKind::TooLarge, "further event data stores", &format!("{} are listed; the first {MANY} were asked about", found.len()))?;
        found.truncate(MANY);
    }
    let rows = Mutex::new(vec![]);
    let from = Mutex::new(vec![]);
    at_once(found.iter().map(|arn| store(cx, arn, &rows, &from).boxed())).await?;
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by_key(|r: &Value| r["arn"].to_string());
    let bytes = serde_json::to_vec_pretty(&json!({"region": cx.target().region, "stores": rows})).unwrap_or_default();
    let from = from.into_inner().unwrap_or_else(PoisonError::into_inner);
    cx.derive("what the event data stores record, in one table", "event-data-stores", "json", &bytes, from, Sensitivity::S1)?;
    Ok(())
}

async fn store(cx: &CollectCx<'_>, arn: &str, rows: &Mutex<Vec<Value>>, from: &Mutex<Vec<ItemId>>) -> Result<(), Abort> {
    let call = cx.aws().cloudtrail().get_event_data_store().event_data_store(arn);
    let Some(answer) = cx.ask(Question::new(&STORE, format!("event data store {arn}")), call.send()).await?.answer() else {
        return Ok(());
    };
    let out = &answer.output;
    let selectors = out.advanced_event_selectors().iter().take(100).map(|s| advanced(s).1).collect::<Vec<_>>();
    rows.lock().unwrap_or_else(PoisonError::into_inner).push(json!({
        "arn": said(out.event_data_store_arn()),
        "name": said(out.name()),
        "status": out.status().map(|s| s.as_str()),
        "allRegions": out.multi_region_enabled(),
        "ofOrganisation": out.organization_enabled(),
        "retentionDays": out.retention_period(),
        "created": out.created_timestamp().map(ToString::to_string),
        "updated": out.updated_timestamp().map(ToString::to_string),
        "selectors": selectors,
    }));
    from.lock().unwrap_or_else(PoisonError::into_inner).push(answer.item);
    Ok(())
}
