//! Subscribers of EventBridge's newer event buses (the `eventsv2` API) that call the function, stopped one by one (`containment.md` C17). The
//! bus keeps events for its retention period, and a subscriber that runs again goes on after the last one that it processed.
//!
//! The API is that of botocore 1.44.5 (`eventbridgev2/2025-05-15`); it speaks CBOR alone. What resumes elsewhere than at `LAST_PROCESSED` would
//! skip events, so restore names that position, and no other.

use super::sources;
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub struct StopSubscribers;

static SPEC: ActionSpec = ActionSpec {
    id: "stop-subscribers",
    title: "Stop the event bus subscribers that call the function",
    stops: "subscribers of this account and Region on EventBridge's event buses of the second kind whose target is the function, or a Lambda \
            call that names it",
    does_not_stop: "a batch that was handed over already, subscribers that other accounts own, rules of classic buses (`disable-rules`)",
    side_effects: "the bus keeps events for its retention period: what is older when the subscriber runs again is lost",
    restore: "each subscriber runs again from the last event that it processed",
    calls: &[LIST, DESCRIBE, UPDATE],
    params: &[],
    restore_rank: 4,
    bearing: Bearing::Pushes,
};

const LIST: Call = Call::read(Service::EventsV2, "ListSubscribers", "events:ListSubscribers", Scope::Any);
const DESCRIBE: Call = Call::read(Service::EventsV2, "DescribeSubscriber", "events:DescribeSubscriber", Scope::Any);
const UPDATE: Call = Call::write(Service::EventsV2, "UpdateSubscriber", "events:UpdateSubscriber", Scope::Any);

const RUNNING: &str = "RUNNING";
const STOPPED: &str = "STOPPED";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriberState(String);

fn raw(call: &Call, body: &Value) -> RawCall {
    RawCall::cbor(call.service, call.operation, "AWSEventsV2", body)
}

/// The subscriber's ARN, of the target's own account and Region. The id comes from a journal.
fn place<'c>(target: &Target, cell: &'c CellId) -> Result<&'c str, ActError> {
    let own = format!("arn:{}:events:{}:{}:subscriber/", target.partition, target.region, target.account);
    match cell.key().strip_prefix(&own) {
        Some(rest) if sources::plain(rest, true) => Ok(cell.key()),
        _ => Err(ActError::Refused(format!("{} names no subscriber of this account and Region", tame(&cell.0, 300)))),
    }
}

async fn describe(cx: &ActCx<'_>, arn: &str) -> Result<Value, ActError> {
    cx.ask(&DESCRIBE, &format!("reading the subscriber {arn}"), raw(&DESCRIBE, &json!({"SubscriberArn": arn}))).await
}

#[async_trait]
impl Action for StopSubscribers {
    type State = SubscriberState;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let page = |token: Option<&str>| {
            let mut body = json!({"MaxResults": 100});
            if let Some(token) = token {
                body["NextToken"] = token.into();
            }
            raw(&LIST, &body)
        };
        let mut cells = vec![];
        for subscriber in cx.ask_all(&LIST, "listing the subscribers of the account", ("Subscribers", "NextToken"), page).await? {
            let text = |member: &str| subscriber[member].as_str().unwrap_or_default().to_string();
            let (arn, target) = (text("SubscriberArn"), text("TargetArn"));
            // Revoked by the owner of the bus, for ever: it delivers nothing, and cannot be updated.
            if subscriber["Revoked"] == true {
                continue;
            }
            let mut ours = sources::is_ours(cx.target(), &target);
            if !ours && target.contains(":aws-sdk:lambda:") {
                let whole = match describe(cx, &arn).await {
                    Err(e) if e.is_absent() => continue,
                    whole => whole?,
                };
                let input = whole.pointer("/InvokeConfiguration/UniversalTargetParameters/Input").and_then(Value::as_str);
                ours = input.is_some_and(|input| sources::input_is_ours(cx.target(), input));
            }
            if ours {
                let cell = Cell {
                    id: CellId::new(SPEC.id, &arn),
                    label: format!("the subscriber {} of {}", tame(&text("Name"), 100), tame(&text("EventBusArn"), 300)),
                    facts: json!({"target": tame(&target, 300)}),
                };
                place(cx.target(), &cell.id)?;
                cells.push(cell);
            }
        }
        Ok(cells)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<SubscriberState>, ActError> {
        let arn = place(cx.target(), cell)?;
        let told = describe(cx, arn).await?;
        if told["Revoked"] == true {
            return Ok(Reading::Over);
        }
        match told["State"].as_str() {
            Some(state @ (RUNNING | STOPPED)) => Ok(Reading::Settled(SubscriberState(state.into()))),
            other => {
                Err(ActError::Refused(format!("AWS stated a state of the subscriber that is none: {}", tame(other.unwrap_or("-"), 40))))
            }
        }
    }

    fn contained(&self, _: &Cell, _: &SubscriberState) -> Result<SubscriberState, ActError> {
        Ok(SubscriberState(STOPPED.into()))
    }

    fn restorable(&self, _: &SubscriberState) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &SubscriberState, _: &ContainPermit) -> Result<(), ActError> {
        let arn = place(cx.target(), cell)?;
        let mut body = json!({"SubscriberArn": arn, "State": to.0});
        if to.0 == RUNNING {
            body["ResumePosition"] = "LAST_PROCESSED".into();
        }
        cx.ask(&UPDATE, &format!("setting the subscriber {arn} to {}", to.0), raw(&UPDATE, &body)).await.map(drop)
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &SubscriberState) -> Result<Vec<AwsCli>, ActError> {
        let arn = ("--subscriber-arn", place(target, cell)?);
        // The command's name is that of the EventBridge User Guide ("Tagging"); version 1 of the AWS CLI does not have it.
        Ok(match before.0.as_str() {
            RUNNING => {
                let words = [arn, ("--state", RUNNING), ("--resume-position", "LAST_PROCESSED")];
                vec![AwsCli::new("eventsv2", "update-subscriber", words)]
            }
            _ => vec![],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_cannot_name_somebody_elses_subscriber() {
        let target = Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "payments".into(),
            qualifier: None,
        };
        let id = |key: &str| CellId::new(SPEC.id, key);
        assert!(place(&target, &id("arn:aws:events:eu-west-1:123456789012:subscriber/s/abcdefghijklmnopqrstuvwxy")).is_ok());
        for bad in [
            "",
            "arn:aws:events:eu-west-1:999999999999:subscriber/s/abc",
            "arn:aws:events:us-east-1:123456789012:subscriber/s/abc",
            "arn:aws:events:eu-west-1:123456789012:rule/s",
            "arn:aws:events:eu-west-1:123456789012:subscriber/",
            "arn:aws:events:eu-west-1:123456789012:subscriber/a b",
        ] {
            assert!(place(&target, &id(bad)).is_err(), "{bad}");
        }
    }
}
