//! `explain`: what the handler would do with an event, without doing it and without asking AWS. Made by the same [`decide`] that the handler
//! obeys.

use super::act::PlaybookFacts;
use super::config::{Mode, Settings};
use super::decide::{Decision, decide};
use super::reply::{About, Did};
use crate::model::target::TargetSpec;
use crate::model::trigger::Trigger;
use schemars::JsonSchema;
use serde::Serialize;

/// The function as the event names it. What is missing comes from the handler's own account and Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Named {
    pub function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Explanation {
    /// Version of this form: 1.
    pub v: u32,
    /// Whether a run would be made.
    pub acts: bool,
    /// When not, which kind of nothing: `ignored`, `unknown`, `observed` or `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Did>,
    /// One sentence: what would happen, or why nothing.
    pub why: String,
    pub mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<About>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    /// Whether that playbook would change anything in AWS.
    pub contains: bool,
}

/// Stands for the request id that Lambda would give the invocation.
const SOME_DELIVERY: &str = "<request-id>";

/// With the configuration that a handler has when nothing is set, and the shipped playbooks.
pub fn explain(event: &[u8]) -> Explanation {
    explain_with(event, &Settings::default(), &super::act::shipped)
}

pub fn explain_with(event: &[u8], settings: &Settings, look_up: &dyn Fn(&str) -> Option<PlaybookFacts>) -> Explanation {
    let blank = Explanation {
        v: 1,
        acts: false,
        nothing: None,
        why: String::new(),
        mode: settings.mode,
        finding: None,
        time: None,
        target: None,
        case: None,
        playbook: None,
        contains: false,
    };
    match decide(event, SOME_DELIVERY, settings, look_up) {
        Decision::Act(plan) => {
            let does = if plan.playbook.contains {
                "evidence is taken, and the function is contained unless a guardrail refuses"
            } else {
                "evidence is taken; nothing in AWS is changed"
            };
            let why = format!("the playbook `{}` is run in case {}: {does}", plan.playbook.id, plan.case);
            let mut told = blank.about(&plan.trigger);
            told.target = Some(Named::of(&plan.target));
            told.case = Some(plan.case.to_string());
            Explanation { acts: true, why, playbook: Some(plan.playbook.id), contains: plan.playbook.contains, ..told }
        }
        Decision::Nothing { did, why, about } => {
            let told = about.map_or(blank.clone(), |u| blank.about(&u.trigger));
            Explanation { nothing: Some(did), why, ..told }
        }
    }
}

impl Named {
    fn of(spec: &TargetSpec) -> Named {
        Named {
            function: spec.function.clone(),
            qualifier: spec.qualifier.clone(),
            region: spec.region.clone(),
            account: spec.account.clone(),
        }
    }
}

impl Explanation {
    fn about(self, trigger: &Trigger) -> Explanation {
        Explanation {
            finding: Some(About::of(trigger)),
            time: trigger.time.clone(),
            target: trigger.function.parse().ok().as_ref().map(Named::of),
            case: trigger.case.clone(),
            playbook: trigger.playbook.clone(),
            ..self
        }
    }

    /// For a terminal: the answer first, then what it rests on.
    pub fn lines(&self) -> Vec<String> {
        let verdict = match (self.acts, self.nothing) {
            (true, _) => "would act".to_string(),
            (false, Some(did)) => format!("would do nothing ({did})"),
            (false, None) => "would do nothing".to_string(),
        };
        let mut lines = vec![format!("{verdict}: {}", self.why)];
        let mut row = |name: &str, value: Option<String>| lines.extend(value.map(|v| format!("  {name:<9}{v}")));
        row("source", self.finding.as_ref().map(|f| f.source.clone()));
        row("finding", self.finding.as_ref().map(|f| format!("{} ({}), severity {} of 100", f.kind, f.id, f.severity)));
        row("time", self.time.clone());
        row(
            "function",
            self.target.as_ref().map(|t| t.qualifier.as_ref().map_or(t.function.clone(), |q| format!("{}, qualifier {q}", t.function))),
        );
        row("Region", self.target.as_ref().map(|t| t.region.clone().unwrap_or_else(|| "the handler's own".into())));
        row("account", self.target.as_ref().map(|t| t.account.clone().unwrap_or_else(|| "the handler's own".into())));
        row("case", self.case.clone());
        row("playbook", self.playbook.clone());
        row("mode", Some(self.mode.to_string()));
        if self.nothing == Some(Did::Unknown) {
            lines.push("  The handler keeps the event as it is, under unknown/ in its store, and logs a warning.".into());
        }
        lines
    }
}
