//! What is to be done about an event, decided without asking AWS. The handler does what this says and `explain` shows it, so that neither
//! can promise what the other would not keep.

use super::act::PlaybookFacts;
use super::config::{Mode, Settings};
use super::reply::Did;
use crate::intake::{Intake, Understood, case_of, understand};
use crate::model::id::CaseId;
use crate::model::target::TargetSpec;
use crate::model::trigger::Trigger;

#[derive(Debug)]
pub enum Decision {
    Act(Box<Plan>),
    /// One of [`Did::Ignored`], [`Did::Unknown`], [`Did::Observed`], [`Did::Refused`].
    Nothing {
        did: Did,
        why: String,
        about: Option<Box<Understood>>,
    },
}

/// Everything that is known before AWS has been asked.
#[derive(Debug)]
pub struct Plan {
    pub trigger: Trigger,
    pub target: TargetSpec,
    pub case: CaseId,
    pub playbook: PlaybookFacts,
}

/// `delivery` stands for the finding when a request has no id of its own.
pub fn decide(event: &[u8], delivery: &str, settings: &Settings, look_up: &dyn Fn(&str) -> Option<PlaybookFacts>) -> Decision {
    let mut understood = match understand(event) {
        Intake::Understood(understood) => understood,
        Intake::Ignored { why, .. } => return Decision::Nothing { did: Did::Ignored, why, about: None },
        Intake::Unknown { why } => return Decision::Nothing { did: Did::Unknown, why, about: None },
    };
    if understood.trigger.finding_id.is_empty() {
        understood.trigger.finding_id = delivery.chars().filter(char::is_ascii_graphic).take(128).collect();
    }
    let nothing = |did, why: String, about: Box<Understood>| Decision::Nothing { did, why, about: Some(about) };
    if understood.sample {
        let why =
            "a sample finding, made so that somebody can try his alerting: it arrived and was understood, and there is nothing to look at";
        return nothing(Did::Ignored, why.into(), understood);
    }
    // Intake has parsed both already; should it ever let one through that does not parse, it is refused here rather than believed.
    let target: TargetSpec = match understood.trigger.function.parse() {
        Ok(target) => target,
        Err(e) => return nothing(Did::Refused, format!("{e}"), understood),
    };
    let case = match case_of(&understood.trigger) {
        Ok(case) => case,
        Err(e) => return nothing(Did::Refused, e.to_string(), understood),
    };
    let wanted = understood.trigger.playbook.as_deref().unwrap_or(&settings.playbook);
    let Some(playbook) = look_up(wanted) else {
        let why = format!("there is no shipped playbook `{wanted}`");
        return nothing(Did::Refused, why, understood);
    };
    if settings.mode == Mode::Observe {
        let why = format!("would run the playbook `{}` in case {case}; this handler runs in mode `observe` and does nothing", playbook.id);
        return nothing(Did::Observed, why, understood);
    }
    if playbook.contains && settings.mode < Mode::ContainWithApproval {
        let why = format!(
            "the playbook `{}` contains, and this handler runs in mode `{}`; it takes FREEZEFRAME_MODE=contain (or contain-with-approval), and \
             what the guard policy says holds even then",
            playbook.id, settings.mode
        );
        return nothing(Did::Refused, why, understood);
    }
    Decision::Act(Box::new(Plan { trigger: understood.trigger, target, case, playbook }))
}
