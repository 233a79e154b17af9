//! A function that is gone leaves more behind than it had inside: its role, its logs, its mappings, CloudTrail's memory of ninety days. Which
//! role and which log group were its own only its configuration said, so the newest event that quotes the configuration is looked for here,
//! before the plan is made: a plan names what it reads.
//!
//! What it never does: take an event's word beyond a role of this very account and a log group's name; what it says is marked with its source.

use super::preflight::PreflightError;
use crate::aws::Aws;
use crate::aws::fault::{Fault, tame};
use crate::aws::tape::{self, Listening};
use crate::model::call::{Call, Scope, Service};
use crate::model::target::Target;
use crate::plan::Gone;
use crate::plan::PREFLIGHT;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use serde_json::Value;

const LOOKUP: Call = Call::read(Service::Cloudtrail, "LookupEvents", "cloudtrail:LookupEvents", Scope::Any);

/// What preflight asks where the function may be gone.
pub static CALLS: &[Call] = &[PREFLIGHT[0], PREFLIGHT[1], LOOKUP];

/// Five hundred events of each name: at two requests a second nobody waits for more before a run begins.
const PAGES: u32 = 10;
/// CloudTrail's own limit of one event is 256 KiB.
const EVENT_LIMIT: usize = 1 << 20;

pub(super) struct Found {
    pub gone: Gone,
    /// The role's ARN where somebody stated it whole; one made from a bare name may lack its path and must narrow no policy.
    pub exact_role: Option<String>,
}

/// The operator's word for the role comes first; for what he did not say, CloudTrail's.
pub(super) async fn look_back(aws: &Aws, target: &Target, role: Option<&str>) -> Result<Found, PreflightError> {
    let said = match role {
        None => None,
        Some(text) => {
            let no_role = || PreflightError::NotARole { shown: tame(text, 120), account: target.account.clone() };
            Some(stated_role(text, target).ok_or_else(no_role)?)
        }
    };
    let mut remembered = Remembered::default();
    let mut trouble = None;
    for name in [target.function.clone(), target.arn()] {
        match search(aws, target, &name, &mut remembered).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(fault) => {
                trouble = Some(fault);
                break;
            }
        }
    }
    let mut source = vec![];
    source.extend(said.is_some().then(|| "role: the operator".to_string()));
    match (&remembered.event, trouble) {
        (Some(event), _) => source.push(format!("{}: CloudTrail, {event}", if said.is_some() { "else" } else { "configuration" })),
        (None, Some(fault)) => source.push(format!("CloudTrail could not be asked: {fault}")),
        (None, None) => source.push("no event of CloudTrail quotes its configuration".to_string()),
    }
    source.extend(remembered.deleted.take());
    let exact = |arn: &String| role.is_none() || role == Some(arn.as_str());
    let role_arn = said.or(remembered.role_arn);
    Ok(Found {
        exact_role: role_arn.clone().filter(exact),
        gone: Gone { role_arn, log_group: remembered.log_group, source: source.join("; ") },
    })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Remembered {
    role_arn: Option<String>,
    log_group: Option<String>,
    /// Name, id and time of the event that said it.
    event: Option<String>,
    /// When it was deleted and by whom: the newest time, for a function of this name may have been made again in between.
    deleted: Option<String>,
}

/// Newest first, until an event quotes the role. `true` when one did.
async fn search(aws: &Aws, target: &Target, name: &str, remembered: &mut Remembered) -> Result<bool, Fault> {
    let Ok(attribute) = LookupAttribute::builder().attribute_key(LookupAttributeKey::ResourceName).attribute_value(name).build() else {
        return Ok(false);
    };
    let mut token = None;
    for _ in 0..PAGES {
        aws.pace().turn(LOOKUP.service, LOOKUP.operation, &target.region).await;
        let call = aws.cloudtrail().lookup_events().lookup_attributes(attribute.clone()).max_results(50).set_next_token(token.take());
        let (answer, exchanges) = tape::listen(Listening::default(), call.send()).await;
        let page = answer.map_err(|e| Fault::of(&e, &exchanges))?;
        for event in page.events() {
            if event.cloud_trail_event().is_some_and(|text| remembered.take(text, target)) {
                return Ok(true);
            }
        }
        token = page.next_token().map(str::to_string);
        if token.is_none() {
            break;
        }
    }
    Ok(false)
}

impl Remembered {
    /// What one event says of this function's configuration. Events of Lambda alone, and those about this name: `ResourceName` also finds
    /// a function's name in another service's events.
    fn take(&mut self, text: &str, target: &Target) -> bool {
        if text.len() > EVENT_LIMIT {
            return false;
        }
        let Ok(event) = serde_json::from_str::<Value>(text) else { return false };
        let at = |path: &str| event.pointer(path).and_then(Value::as_str);
        if at("/eventSource") != Some("lambda.amazonaws.com") || at("/errorCode").is_some() {
            return false;
        }
        let about = [at("/requestParameters/functionName"), at("/responseElements/functionName"), at("/responseElements/functionArn")];
        let names_it = |n: &str| n == target.function || n == target.arn();
        if !about.into_iter().flatten().any(names_it) {
            return false;
        }
        let word = |path: &str| tame(at(path).unwrap_or("?"), 64);
        // The whole function: a version alone is named by its qualifier.
        if self.deleted.is_none() && at("/eventName").is_some_and(deletes) && at("/requestParameters/qualifier").is_none() {
            let by = tame(at("/userIdentity/arn").unwrap_or("an unnamed principal"), 200);
            self.deleted =
                Some(format!("deleted: CloudTrail, {} {} at {} by {by}", word("/eventName"), word("/eventID"), word("/eventTime")));
        }
        let said = ["/responseElements", "/requestParameters"];
        let find = |member: &str, ok: &dyn Fn(&str) -> bool| {
            said.iter().find_map(|part| at(&format!("{part}{member}"))).filter(|v| ok(v)).map(str::to_string)
        };
        if self.log_group.is_none() {
            self.log_group = find("/loggingConfig/logGroup", &is_log_group);
        }
        self.role_arn = find("/role", &|arn| stated_role(arn, target).as_deref() == Some(arn));
        if self.role_arn.is_some() {
            self.event = Some(format!("{} {} at {}", word("/eventName"), word("/eventID"), word("/eventTime")));
        }
        self.role_arn.is_some()
    }
}

/// CloudTrail's name of the call that deletes a function bears the API's version; others begin alike (`DeleteFunctionConcurrency20171031`).
fn deletes(event_name: &str) -> bool {
    event_name.strip_prefix("DeleteFunction").is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit() || b == b'v'))
}

/// A role's ARN in the target's account, from its ARN or its bare name. Lambda takes no role of another account.
fn stated_role(text: &str, target: &Target) -> Option<String> {
    let plain =
        |s: &str, max: usize| !s.is_empty() && s.len() <= max && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    let prefix = format!("arn:{}:iam::{}:role/", target.partition, target.account);
    let path = text.strip_prefix(&prefix).unwrap_or(text);
    let whole = path.len() < text.len();
    let (before, name) = path.rsplit_once('/').unwrap_or(("", path));
    let segments_ok = before.is_empty() || (whole && before.split('/').all(|s| plain(s, 510)));
    (plain(name, 64) && segments_ok && path.len() <= 576).then(|| format!("{prefix}{path}"))
}

/// `[\.\-_/#A-Za-z0-9]+`, as the Logs API has it.
fn is_log_group(name: &str) -> bool {
    !name.is_empty() && name.len() <= 512 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/#".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target() -> Target {
        let spec: crate::model::target::TargetSpec = "arn:aws:lambda:eu-west-1:123456789012:function:pay".parse().unwrap();
        spec.resolve("aws", "123456789012", "eu-west-1").unwrap()
    }

    fn event(change: impl FnOnce(&mut Value)) -> String {
        let mut event = json!({
            "eventSource": "lambda.amazonaws.com",
            "eventName": "UpdateFunctionConfiguration20150331v2",
            "eventID": "0f1e", "eventTime": "2026-11-01T10:00:00Z",
            "requestParameters": {"functionName": "pay"},
            "responseElements": {"functionName": "pay", "role": "arn:aws:iam::123456789012:role/service-role/pay-exec",
                                 "loggingConfig": {"logGroup": "/custom/pay"}},
        });
        change(&mut event);
        event.to_string()
    }

    fn taken(text: &str) -> Remembered {
        let mut remembered = Remembered::default();
        assert_eq!(remembered.take(text, &target()), remembered.role_arn.is_some());
        remembered
    }

    #[test]
    fn the_event_that_quotes_the_configuration_is_believed_and_named() {
        let r = taken(&event(|_| {}));
        assert_eq!(r.role_arn.as_deref(), Some("arn:aws:iam::123456789012:role/service-role/pay-exec"));
        assert_eq!(r.log_group.as_deref(), Some("/custom/pay"));
        assert_eq!(r.event.as_deref(), Some("UpdateFunctionConfiguration20150331v2 0f1e at 2026-11-01T10:00:00Z"));
        // CreateFunction that answered without the configuration.
        let asked = event(|e| {
            e["requestParameters"]["role"] = e["responseElements"]["role"].take();
            e["responseElements"] = Value::Null;
        });
        assert!(taken(&asked).role_arn.is_some());
    }

    #[test]
    fn when_it_was_deleted_and_by_whom_is_remembered_from_the_newest_event() {
        let deletion = |change: fn(&mut Value)| {
            event(|e| {
                e["eventName"] = "DeleteFunction20150331".into();
                e["eventID"] = "d1".into();
                e["userIdentity"] = json!({"arn": "arn:aws:iam::123456789012:user/build-bot"});
                e["responseElements"] = Value::Null;
                change(e);
            })
        };
        let mut remembered = Remembered::default();
        assert!(!remembered.take(&deletion(|_| {}), &target()), "it quotes no role");
        assert!(!remembered.take(&deletion(|e| e["eventID"] = "older".into()), &target()));
        let told = "deleted: CloudTrail, DeleteFunction20150331 d1 at 2026-11-01T10:00:00Z by arn:aws:iam::123456789012:user/build-bot";
        assert_eq!(remembered.deleted.as_deref(), Some(told));
        for other in [
            (|e: &mut Value| e["eventName"] = "DeleteFunctionConcurrency20171031".into()) as fn(&mut Value),
            |e| e["eventName"] = "DeleteFunctionUrlConfig".into(),
            |e| e["requestParameters"]["qualifier"] = "2".into(),
            |e| e["errorCode"] = "AccessDenied".into(),
        ] {
            assert_eq!(taken(&deletion(other)).deleted, None);
        }
    }

    #[test]
    fn hostile_and_foreign_events_are_not_believed() {
        for change in [
            (|e: &mut Value| e["eventSource"] = "iam.amazonaws.com".into()) as fn(&mut Value),
            |e| e["errorCode"] = "AccessDenied".into(),
            |e| {
                e["requestParameters"]["functionName"] = "other".into();
                e["responseElements"]["functionName"] = "other".into();
            },
            |e| e["responseElements"]["role"] = "arn:aws:iam::999999999999:role/x".into(),
            |e| e["responseElements"]["role"] = "arn:aws:iam::123456789012:role/*".into(),
            |e| e["responseElements"]["role"] = "arn:aws:iam::123456789012:role/\u{1b}[31m".into(),
            |e| e["responseElements"]["role"] = json!({"a": 1}),
            |e| *e = json!([]),
        ] {
            assert_eq!(taken(&event(change)).role_arn, None);
        }
        assert_eq!(taken(&event(|e| e["responseElements"]["loggingConfig"]["logGroup"] = "a b\n".into())).log_group, None);
        assert_eq!(taken("{").role_arn, None);
    }

    #[test]
    fn a_role_is_stated_by_name_or_by_arn_of_this_account() {
        let arn = "arn:aws:iam::123456789012:role/pay";
        assert_eq!(stated_role("pay", &target()).as_deref(), Some(arn));
        assert_eq!(stated_role(arn, &target()).as_deref(), Some(arn));
        assert!(stated_role("arn:aws:iam::123456789012:role/a/b/pay", &target()).is_some());
        for bad in ["", "a/b", "a b", "arn:aws:iam::999999999999:role/pay", "arn:aws:iam::123456789012:user/pay", "pay*", "../x", "\u{1b}"]
        {
            assert_eq!(stated_role(bad, &target()), None, "{bad:?}");
        }
    }
}
