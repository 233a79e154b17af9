//! What a watch asks AWS about one function: what its versions are, its counters, its newest log lines, and what CloudTrail has of it and of its
//! credentials. Reads only, by fence and by declaration.
//!
//! Log lines and events are a stranger's words: of a line no more is taken than whether it says that an invocation began, of an event its name,
//! time, caller and error code. What cannot be read is said with the IAM action that would lift it.

use super::sight::Minute;
use crate::aws::fault::{Fault, FaultClass, tame};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::aws::record::{HeadRecorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::aws::{Aws, Connector};
use crate::clock;
use crate::model::call::Call;
use crate::model::exchange::Exchange;
use crate::model::item::Group;
use crate::model::log_line::{LineKind, LogLine};
use crate::model::regions;
use crate::model::target::Target;
use crate::plan::WATCH;
use crate::plan::forecast::Fact;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime as Instant;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const VERSIONS: &Call = &WATCH[0];
const COUNTERS: &Call = &WATCH[1];
const LINES: &Call = &WATCH[2];
const EVENTS: &Call = &WATCH[3];

/// Pages of one list in one look; a function that logs more says so by its counters.
const PAGES: u32 = 20;
/// An event is refused by CloudTrail above 256 KB; anything larger is none.
const EVENT_LIMIT: usize = 256 << 10;
/// Log lines arrive late and out of order: so far back they are asked for again.
const OVERLAP: TimeDelta = TimeDelta::minutes(2);
/// The same of events: "within an average of about 5 minutes" (CloudTrail User Guide), fifteen by the older one.
const EVENTS_LATE: TimeDelta = TimeDelta::minutes(20);

/// What the function's versions say.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions {
    /// The longest that an invocation of any of them can run.
    pub timeout: TimeDelta,
    /// Those that run on managed instances, by the names under which they are scaled.
    pub managed: BTreeSet<String>,
    pub log_groups: BTreeSet<String>,
    /// The names of the roles that they run under, each with its versions: any of them can be invoked.
    pub roles: BTreeMap<String, Vec<String>>,
}

/// Under which a managed `$LATEST` is scaled; no list shows it (`contain::scale_to_zero`).
pub(super) const LATEST_PUBLISHED: &str = "$LATEST.PUBLISHED";

const LATEST: &str = "$LATEST";

/// Lambda's longest, and that of Managed Instances (`containment.md` B.1).
pub(super) const LONGEST: TimeDelta = TimeDelta::minutes(15);
pub(super) const LONGEST_MANAGED: TimeDelta = TimeDelta::minutes(90);

/// New lines of the log since the look before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub new: usize,
    /// When each invocation began, and its request id, as the lines claim.
    pub began: Vec<(DateTime<Utc>, String)>,
}

/// An event of CloudTrail, tamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub at: DateTime<Utc>,
    pub name: String,
    pub who: String,
    pub error: Option<String>,
    /// By the function's own session.
    pub by_function: bool,
    /// The name of the role whose session it was, if it was one's and the event says so.
    pub role: Option<String>,
}

impl Event {
    /// Any identity may ask who it is, even one that is denied everything (IAM API reference of `GetCallerIdentity`).
    pub fn needs_permission(&self) -> bool {
        self.name != "GetCallerIdentity"
    }
    pub fn is_refused(&self) -> bool {
        self.error.as_deref().is_some_and(|e| e.starts_with("AccessDenied") || e.ends_with("UnauthorizedOperation"))
    }
}

/// One function, followed.
pub(super) struct Asker<'t> {
    connector: Connector,
    target: &'t Target,
    /// Log lines that were counted.
    lines: BTreeMap<String, i64>,
    /// Events that were told.
    events: BTreeSet<String>,
    /// AWS's clock minus ours, as last heard.
    pub skew: TimeDelta,
}

impl<'t> Asker<'t> {
    pub fn new(connector: &Connector, target: &'t Target) -> Self {
        let connector = if connector.region() == target.region { connector.clone() } else { connector.in_region(&target.region) };
        Asker { connector, target, lines: BTreeMap::new(), events: BTreeSet::new(), skew: TimeDelta::zero() }
    }

    fn aws(&self) -> Aws {
        self.connector.reading(UnitScope { unit: "watch", group: Group::Contain }, WATCH, Arc::new(HeadRecorder::default()))
    }

    async fn call<O, E, F>(&mut self, aws: &Aws, call: &Call, future: F) -> Result<O, Fault>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        aws.pace().turn(call.service, call.operation, aws.region()).await;
        let (answer, exchanges) = tape::listen(Listening::default(), future).await;
        self.hear(exchanges.last());
        answer.map_err(|e| Fault::of(&e, &exchanges))
    }

    /// Below two seconds it says nothing: `Date` counts whole ones.
    fn hear(&mut self, exchange: Option<&Exchange>) {
        let heard = exchange.and_then(|x| {
            let sent = DateTime::parse_from_rfc3339(&x.sent).ok()?.to_utc();
            clock::skew(x.server_date.as_deref()?, sent, sent + TimeDelta::milliseconds(i64::try_from(x.took_ms).ok()?))
        });
        if let Some(skew) = heard {
            self.skew = if skew.abs() < TimeDelta::seconds(2) { TimeDelta::zero() } else { skew };
        }
    }

    pub async fn versions(&mut self) -> Fact<Versions> {
        let aws = self.aws();
        let mut found = Versions::default();
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            let call = aws.lambda().list_versions_by_function().function_name(&self.target.function).set_marker(marker).send();
            let page = self.call(&aws, VERSIONS, call).await.map_err(|f| no(VERSIONS, &f))?;
            for version in page.versions() {
                let timeout = version.timeout().map_or(LONGEST, |s| TimeDelta::seconds(s.into()));
                let managed = version.capacity_provider_config().is_some();
                let name = version.version().map(|v| tame(v, 80)).unwrap_or_default();
                if managed {
                    found.managed.insert(if name == LATEST { LATEST_PUBLISHED.to_string() } else { name.clone() });
                }
                found.timeout = found.timeout.max(if managed { LONGEST_MANAGED } else { timeout });
                found.log_groups.extend(version.logging_config().and_then(|l| l.log_group()).map(str::to_string));
                if let Some(role) = version.role().and_then(|r| r.rsplit('/').next()).filter(|r| !r.is_empty()) {
                    found.roles.entry(role.to_string()).or_default().push(name);
                }
            }
            marker = page.next_marker().filter(|m| !m.is_empty()).map(str::to_string);
            if marker.is_none() {
                return Ok(found);
            }
        }
        Err("lambda:ListVersionsByFunction: the list of versions has no end".into())
    }

    /// Minute by minute from `from` on.
    pub async fn counters(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> Fact<BTreeMap<DateTime<Utc>, Minute>> {
        let query = |id: &str, metric: &str, stat: &str| {
            let metric = json!({"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": [{"Name": "FunctionName", "Value": self.target.function}]});
            json!({"Id": id, "MetricStat": {"Metric": metric, "Stat": stat, "Period": 60}})
        };
        let body = json!({
            // Whole minutes, or CloudWatch would answer with none for the first.
            "StartTime": from.timestamp().div_euclid(60) * 60, "EndTime": to.timestamp() + 60, "ScanBy": "TimestampAscending",
            "MetricDataQueries": [
                query("invocations", "Invocations", "Sum"), query("throttles", "Throttles", "Sum"),
                query("errors", "Errors", "Sum"), query("running", "ConcurrentExecutions", "Maximum"),
            ],
        });
        let aws = self.aws();
        let raw =
            RawCall::json(COUNTERS.service, COUNTERS.operation, JsonVersion::V1_0, "GraniteServiceVersion20100801.GetMetricData", &body);
        let bytes = self.call(&aws, COUNTERS, aws.raw(raw)).await.map_err(|f| no(COUNTERS, &f))?;
        minutes(&bytes).ok_or_else(|| format!("{COUNTERS} answered in no form that is known, or did not read all of its own series"))
    }

    /// Lines that were logged since `from` and not counted before.
    pub async fn lines(&mut self, groups: &BTreeSet<String>, from: DateTime<Utc>, to: DateTime<Utc>) -> Fact<Lines> {
        let aws = self.aws();
        let mut found = Lines::default();
        // What was counted and is older than what is asked for again need not be remembered.
        self.lines.retain(|_, at| *at >= (from - OVERLAP).timestamp_millis());
        // Remembered only when all was read: else what a failing reading had found would not be told by the next.
        let mut fresh = BTreeMap::new();
        for group in groups {
            let mut token: Option<String> = None;
            for _ in 0..PAGES {
                let call = aws.logs().filter_log_events().log_group_name(group);
                let call = call.start_time((from - OVERLAP).timestamp_millis()).end_time((to + OVERLAP).timestamp_millis());
                let page = match self.call(&aws, LINES, call.set_next_token(token.take()).send()).await {
                    Ok(page) => page,
                    // It has never logged, or logs elsewhere.
                    Err(f) if f.class == FaultClass::NotFound => break,
                    Err(f) => return Err(no(LINES, &f)),
                };
                for event in page.events() {
                    let (Some(id), Some(ms)) = (event.event_id(), event.timestamp()) else { continue };
                    if ms < from.timestamp_millis() || self.lines.contains_key(id) || fresh.insert(id.to_string(), ms).is_some() {
                        continue;
                    }
                    found.new += 1;
                    let line = event.message().and_then(LogLine::parse).filter(|l| l.kind == LineKind::Start);
                    if let (Some(line), Some(at)) = (line, DateTime::from_timestamp_millis(ms)) {
                        found.began.push((at, tame(line.request_id.as_deref().unwrap_or("?"), 64)));
                    }
                }
                token = page.next_token().map(str::to_string);
                if token.is_none() {
                    break;
                }
            }
            if token.is_some() {
                return Err(format!("{LINES}: there are more than {PAGES} pages, and the rest was not read"));
            }
        }
        self.lines.extend(fresh);
        Ok(found)
    }

    /// What happened since `from` to the function and its roles, and what its credentials were used for; but for what `ours` did, and for what
    /// others merely read. Oldest first; none twice.
    pub async fn events(
        &mut self,
        roles: &[String],
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        ours: &dyn Fn(&str) -> bool,
    ) -> Fact<Vec<Event>> {
        let home = self.target.region.clone();
        let global = regions::global(&self.target.partition, &home).to_string();
        let mut searches = vec![
            (home.clone(), LookupAttributeKey::Username, self.target.function.clone()),
            (home.clone(), LookupAttributeKey::ResourceName, self.target.function.clone()),
            (home, LookupAttributeKey::ResourceName, self.target.arn()),
        ];
        searches.extend(roles.iter().map(|name| (global.clone(), LookupAttributeKey::ResourceName, name.clone())));
        let (mut found, mut fresh) = (vec![], BTreeSet::new());
        let from = from.max(to - EVENTS_LATE);
        for (region, key, value) in searches {
            let here = self.aws();
            let aws = if here.region() == region { here } else { here.in_region(&region) };
            let Ok(attribute) = LookupAttribute::builder().attribute_key(key).attribute_value(&value).build() else { continue };
            let mut token: Option<String> = None;
            for _ in 0..PAGES {
                let call = aws.cloudtrail().lookup_events().lookup_attributes(attribute.clone()).max_results(50);
                let call = call.start_time(Instant::from_secs(from.timestamp())).set_next_token(token.take()).send();
                let page = self.call(&aws, EVENTS, call).await.map_err(|f| no(EVENTS, &f))?;
                for event in page.events() {
                    let Some(id) = event.event_id().filter(|id| !self.events.contains(*id)) else { continue };
                    if !fresh.insert(id.to_string()) {
                        continue;
                    }
                    let Some(text) = event.cloud_trail_event().filter(|t| t.len() <= EVENT_LIMIT) else {
                        return Err(format!("{EVENTS}: the event {} has no record that could be read", tame(id, 64)));
                    };
                    found.extend(event_of(text, &self.target.function, ours));
                }
                token = page.next_token().map(str::to_string);
                if token.is_none() {
                    break;
                }
            }
            if token.is_some() {
                return Err(format!("{EVENTS}: there are more than {PAGES} pages, and the rest was not read"));
            }
        }
        self.events.extend(fresh);
        found.retain(|e| e.at >= from);
        found.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
        Ok(found)
    }
}

fn no(call: &Call, fault: &Fault) -> String {
    let lift = call.action.filter(|_| fault.class == FaultClass::Denied).map(|a| format!(" (allow {a})")).unwrap_or_default();
    format!("{call}: {}{lift}", tame(&fault.to_string(), 200))
}

/// `None` when the answer is no answer.
fn minutes(bytes: &[u8]) -> Option<BTreeMap<DateTime<Utc>, Minute>> {
    let body: Value = serde_json::from_slice(bytes).ok()?;
    let mut all: BTreeMap<DateTime<Utc>, Minute> = BTreeMap::new();
    for result in body["MetricDataResults"].as_array()? {
        if matches!(result["StatusCode"].as_str(), Some("Forbidden" | "InternalError")) {
            return None;
        }
        let (times, values) = (result["Timestamps"].as_array()?, result["Values"].as_array()?);
        for (time, value) in times.iter().zip(values) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "`as` saturates, which is what is wanted of a count"
            )]
            let (at, n) = (time.as_f64()? as i64, value.as_f64()?.max(0.0).round() as u64);
            let minute = all.entry(DateTime::from_timestamp(at.div_euclid(60) * 60, 0)?).or_default();
            match result["Id"].as_str()? {
                "invocations" => minute.invocations = n,
                "throttles" => minute.throttles = n,
                "errors" => minute.errors = n,
                "running" => minute.running = n,
                _ => {}
            }
        }
    }
    Some(all)
}

fn event_of(text: &str, function: &str, ours: &dyn Fn(&str) -> bool) -> Option<Event> {
    let record: Value = serde_json::from_str(text).ok()?;
    let at = |path: &str| record.pointer(path).and_then(Value::as_str);
    if at("/userAgent").is_some_and(ours) {
        return None;
    }
    let session = at("/userIdentity/principalId").and_then(|p| p.split_once(':')).map(|(_, session)| session);
    let by_function = at("/userIdentity/type") == Some("AssumedRole") && session == Some(function);
    if !by_function && record["readOnly"] == true {
        return None;
    }
    let who = at("/userIdentity/arn").or_else(|| at("/userIdentity/invokedBy")).unwrap_or("somebody");
    Some(Event {
        at: DateTime::parse_from_rfc3339(at("/eventTime")?).ok()?.to_utc(),
        name: tame(at("/eventName")?, 80),
        who: tame(who, 200),
        error: at("/errorCode").map(|e| tame(e, 80)),
        by_function,
        role: role_of(&at).filter(|r| !r.is_empty()).map(str::to_string),
    })
}

/// `assumed-role/<role>/<session>`, which has the role's name without its path; else the role that issued the session (CloudTrail User Guide,
/// "CloudTrail userIdentity element").
fn role_of<'r>(at: &impl Fn(&str) -> Option<&'r str>) -> Option<&'r str> {
    let session = at("/userIdentity/arn").and_then(|arn| arn.split_once(":assumed-role/"));
    session.and_then(|(_, session)| session.split('/').next()).or_else(|| at("/userIdentity/sessionContext/sessionIssuer/userName"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(change: impl FnOnce(&mut Value)) -> Option<Event> {
        let mut record = json!({
            "eventName": "PutObject", "eventTime": "2026-11-20T12:00:00Z", "userAgent": "aws-cli/2", "readOnly": false, "errorCode": "AccessDenied",
            "userIdentity": {"type": "AssumedRole", "principalId": "AROA1:pay", "arn": "arn:aws:sts::1:assumed-role/r/pay"},
        });
        change(&mut record);
        event_of(&record.to_string(), "pay", &|agent| agent.contains("app/freezeframe-0.1.0-OURS"))
    }

    #[test]
    fn an_event_is_told_by_name_caller_and_error() {
        let event = record(|_| {}).unwrap();
        assert!(event.by_function && event.is_refused() && event.needs_permission(), "{event:?}");
        assert_eq!(event.role.as_deref(), Some("r"));
        let issued = record(|r| {
            r["userIdentity"] =
                json!({"type": "AssumedRole", "principalId": "AROA1:pay", "sessionContext": {"sessionIssuer": {"userName": "q"}}})
        });
        assert_eq!(issued.unwrap().role.as_deref(), Some("q"));
        assert_eq!(record(|r| r["userIdentity"]["arn"] = "arn:aws:iam::1:user/u".into()).unwrap().role, None);
        assert!(record(|r| r["readOnly"] = true.into()).unwrap().by_function, "the function's own reads are its credentials at work");
        assert!(!record(|r| r["userIdentity"]["principalId"] = "AROA1:pays".into()).unwrap().by_function);
        assert!(!record(|r| r["eventName"] = "GetCallerIdentity".into()).unwrap().needs_permission());
        // Others' reads, our own calls, what is no event.
        assert_eq!(record(|r| (r["readOnly"], r["userIdentity"]["principalId"]) = (true.into(), "AIDA1".into())), None);
        assert_eq!(record(|r| r["userAgent"] = "aws-sdk-rust/1 app/freezeframe-0.1.0-OURS".into()), None);
        assert_eq!(record(|r| r["eventTime"] = "now".into()), None);
        let wild = record(|r| r["eventName"] = "\u{1b}[31mX".into()).unwrap();
        assert_eq!(wild.name, " [31mX");
    }

    #[test]
    fn counters_come_by_the_minute_or_not_at_all() {
        let body = |code: &str| {
            json!({"MetricDataResults": [
                {"Id": "invocations", "StatusCode": code, "Timestamps": [1_763_640_000.0, 1_763_640_060], "Values": [2.0, 0.0]},
                {"Id": "throttles", "StatusCode": "Complete", "Timestamps": [1_763_640_060], "Values": [3.0]}]})
            .to_string()
        };
        let all: Vec<Minute> = minutes(body("Complete").as_bytes()).unwrap().into_values().collect();
        assert_eq!(all, [Minute { invocations: 2, ..Minute::default() }, Minute { throttles: 3, ..Minute::default() }]);
        assert_eq!(minutes(body("InternalError").as_bytes()), None);
        assert_eq!((minutes(b"{}"), minutes(b"<x/>")), (None, None));
    }
}
