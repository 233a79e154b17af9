//! EventBridge Scheduler: schedules whose target is the function. There is no search by target, so all are listed and those that name the
//! function are read. A one-time schedule may delete itself after it ran: what is here now may be gone in an hour.

use super::cx::at_once;
use super::qualified::is_ours;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;
use std::collections::BTreeSet;

pub struct Schedules;

const LIST: Call = Call::read(Service::Scheduler, "ListSchedules", "scheduler:ListSchedules", Scope::Any);
const GET: Call = Call::read(Service::Scheduler, "GetSchedule", "scheduler:GetSchedule", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "schedules",
    title: "Schedules",
    answers: "Which schedules fire the function, when, with what input and under which role?",
    group: Group::Triggers,
    volatility: Volatility::V4,
    calls: &[LIST, GET],
    params: &[],
};

/// Schedules read whole. Universal targets name no function in the list, so each of them is read too.
const MAX_READ: usize = 300;

#[async_trait]
impl Collector for Schedules {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut found = BTreeSet::new();
        let members = Members { list: "Schedules", next: "NextToken" };
        let page = |token: Option<String>| {
            let mut query = vec![("MaxResults", "100")];
            query.extend(token.as_deref().map(|t| ("NextToken", t)));
            RawCall::rest(Service::Scheduler, "ListSchedules", "GET", &["schedules"], &query, None)
        };
        cx.ask_json_list(Question::new(&LIST, "schedules of the account in this Region"), cx.aws(), members, page, |schedule| {
            let target = schedule["Target"]["Arn"].as_str().unwrap_or_default();
            // `arn:aws:scheduler:::aws-sdk:lambda:invoke` names the function in its input only.
            let universal = target.contains(":aws-sdk:lambda:");
            if (universal || is_ours(cx, target))
                && let Some(name) = text(schedule, "Name")
            {
                found.insert((text(schedule, "GroupName").unwrap_or_else(|| "default".into()), name));
            }
        })
        .await?;
        if found.len() > MAX_READ {
            cx.gap(
                GapKind::TooLarge,
                "further schedules",
                &format!("{} schedules may fire the function; {MAX_READ} were read", found.len()),
            )?;
        }
        at_once(found.into_iter().take(MAX_READ).map(|(group, name)| read(cx, group, name).boxed())).await
    }
}

async fn read(cx: &CollectCx<'_>, group: String, name: String) -> Result<(), Abort> {
    let question = Question::new(&GET, format!("schedule {name} of group {group}")).sensitivity(Sensitivity::S2);
    let call = RawCall::rest(Service::Scheduler, "GetSchedule", "GET", &["schedules", &name], &[("groupName", &group)], None);
    cx.ask_json(question, cx.aws(), call).await?;
    Ok(())
}
