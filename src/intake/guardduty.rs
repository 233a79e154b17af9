//! GuardDuty findings (`aws.guardduty` / `GuardDuty Finding`), of which those addressed to a Lambda function are acted on.
//!
//! Shapes: the `Finding` shape of the service's model, whose `locationName`s are the keys in the event. A finding about credentials
//! (`AccessKey`, principal `AROA…:<function>`) only hints at a function, by the session's name that the role's user chose; without asking
//! IAM it addresses none, so it is ignored here, with the hint in the reason.

use super::read::{at, time, value_at, word};
use super::{Event, Intake, Source, Understood, function, made_case};
use crate::model::trigger::Trigger;
use serde_json::{Map, Value};

pub struct GuardDuty;

const ID: &str = "guardduty";

impl Source for GuardDuty {
    fn id(&self) -> &'static str {
        ID
    }
    fn title(&self) -> &'static str {
        "GuardDuty findings about Lambda functions"
    }
    fn read(&self, event: &Event<'_>) -> Option<Intake> {
        if event.source() != Some("aws.guardduty") || event.detail_type() != Some("GuardDuty Finding") {
            return None;
        }
        Some(match event.detail() {
            Some(detail) => finding(detail).unwrap_or_else(|not| not),
            None => unknown("the finding has no detail"),
        })
    }
}

fn unknown(why: &str) -> Intake {
    Intake::Unknown { why: format!("GuardDuty: {why}") }
}
fn ignored(why: String) -> Intake {
    Intake::Ignored { source: ID, why }
}

/// `Err` is any answer other than understood.
fn finding(detail: &Map<String, Value>) -> Result<Intake, Intake> {
    // What the model requires of every finding; one without is none that we know.
    let id = at(detail, &["id"], 128).ok_or_else(|| unknown("the finding has no usable id"))?;
    let kind = at(detail, &["type"], 200).ok_or_else(|| unknown("the finding has no usable type"))?;
    let severity = severity(detail.get("severity")).ok_or_else(|| unknown("the finding has no severity from 1 to 10"))?;
    let resource = at(detail, &["resource", "resourceType"], 64).ok_or_else(|| unknown("the finding names no kind of resource"))?;
    let sample = is_sample(detail);
    if value_at(detail, &["service", "archived"]) == Some(&Value::Bool(true)) {
        return Err(ignored(format!("the finding {id} is archived: somebody, or a suppression rule, has dealt with it")));
    }
    match resource {
        "Lambda" => {}
        "AccessKey" => return Err(ignored(credentials(detail))),
        other => return Err(ignored(format!("the finding is about a resource of type {other}, not about a Lambda function"))),
    }
    let stated =
        at(detail, &["resource", "lambdaDetails", "functionArn"], 300).ok_or_else(|| unknown("the finding has no usable functionArn"))?;
    let full = function(ID, stated).and_then(|target| match (target.account, target.region) {
        (Some(account), Some(region)) => Ok((account, region)),
        _ => Err(unknown("the finding's functionArn is no full ARN")),
    });
    // A sample's ARN is made up and need not be one.
    let (account, region) = full.map_err(|not| if sample { ignored("a sample finding".into()) } else { not })?;
    // A real finding lies in the account and Region of its function. One that does not was put together by somebody.
    for (part, stated, of_arn) in [("account", at(detail, &["accountId"], 12), &account), ("Region", at(detail, &["region"], 32), &region)]
    {
        if !sample && stated.is_some_and(|s| s != of_arn) {
            return Err(unknown(&format!("the finding's {part} is not the {part} of its function")));
        }
    }
    let trigger = Trigger {
        source: ID.into(),
        function: stated.into(),
        account: Some(account),
        region: Some(region),
        finding_id: id.into(),
        finding_type: kind.into(),
        severity,
        time: time(at(detail, &["updatedAt"], 40)),
        case: Some(made_case("GD", id)),
        playbook: None,
    };
    Ok(Intake::Understood(Box::new(Understood { trigger, sample })))
}

/// 1.0 to 10.0 → 10 to 100.
fn severity(value: Option<&Value>) -> Option<u8> {
    let stated = value?.as_f64()?;
    // In range, so the cast is exact: 1.0 to 10.0 times ten, rounded.
    (1.0..=10.0).contains(&stated).then(|| (stated * 10.0).round() as u8)
}

/// `CreateSampleFindings` marks what it makes in `additionalInfo`: as a member in the older form (and in events), as JSON inside the text
/// `value` in the newer.
fn is_sample(detail: &Map<String, Value>) -> bool {
    if value_at(detail, &["service", "additionalInfo", "sample"]) == Some(&Value::Bool(true)) {
        return true;
    }
    let inner = value_at(detail, &["service", "additionalInfo", "value"]).and_then(Value::as_str).filter(|t| t.len() <= 64 << 10);
    inner.and_then(|t| serde_json::from_str::<Value>(t).ok()).is_some_and(|v| v.get("sample") == Some(&Value::Bool(true)))
}

/// Why a finding about credentials is left alone, with what it hints at.
fn credentials(detail: &Map<String, Value>) -> String {
    let principal = at(detail, &["resource", "accessKeyDetails", "principalId"], 200).unwrap_or_default();
    let hint = principal.split_once(':').filter(|(role, _)| role.starts_with("AROA")).map(|(_, session)| session);
    match hint.and_then(|s| word(Some(&Value::String(s.into())), 64).map(str::to_string)) {
        Some(session) => format!(
            "the finding is about credentials of a role session named `{session}`, which is how Lambda names the sessions of a function of that \
             name; only findings addressed to a function are acted on so far. Look, and if so: freezeframe snapshot {session}"
        ),
        None => "the finding is about an access key, not about a Lambda function".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn severity_is_from_one_to_ten() {
        for (stated, ours) in [(json!(1), Some(10)), (json!(5.05), Some(51)), (json!(7.9), Some(79)), (json!(10.0), Some(100))] {
            assert_eq!(severity(Some(&stated)), ours, "{stated}");
        }
        for bad in [json!(0), json!(10.01), json!(-3), json!("8"), json!(1e300), json!(null)] {
            assert_eq!(severity(Some(&bad)), None, "{bad}");
        }
    }

    #[test]
    fn samples_are_known_in_both_forms() {
        let of = |info: Value| is_sample(json!({"service": {"additionalInfo": info}}).as_object().unwrap());
        assert!(of(json!({"sample": true})));
        assert!(of(json!({"value": "{\"sample\":true}", "type": "default"})));
        assert!(!of(json!({"value": "{\"sample\":false}"})));
        assert!(!of(json!({"value": "{broken"})));
        assert!(!of(json!({"sample": "true"})));
    }
}
