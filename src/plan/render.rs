//! The plan as text: the dry run. Pure lines, without colour, for whoever must decide at three in the morning.

use super::pin::Pinned;
use super::{Gone, Plan, PlannedPhase, PlannedStep, Policy, What};
use crate::aws::fault::tame;
use crate::model::call::Access;
use crate::playbook::{ApprovalRule, OnFailure, PhaseKind};
use std::fmt;

const WIDTH: usize = 110;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl Gone {
    pub fn words(&self) -> String {
        let role = self.role_arn.as_deref().map_or_else(|| "its role is not known".to_string(), |r| format!("its role was {r}"));
        let group = self.log_group.as_deref().map(|g| format!(", its log group {g}")).unwrap_or_default();
        format!("the function does not exist any more; {role}{group} ({})", self.source)
    }
}

impl Plan {
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec![
            format!("{}: {}", self.playbook, self.title),
            format!("target    {}", self.target),
            format!("playbook  sha256 {}", self.playbook_sha256),
        ];
        if let Some(gone) = &self.gone {
            say_after(&mut out, "gone      ", &gone.words());
        }
        for objection in &self.objections {
            say_after(&mut out, "REFUSED   ", &objection.to_string());
        }
        out.extend([String::new(), "Nothing has been done. A run makes these calls, in this order.".to_string()]);
        for (i, phase) in self.phases.iter().enumerate() {
            out.push(String::new());
            phase_lines(&mut out, i + 1, phase);
        }
        out.extend(self.permission_lines());
        out
    }

    /// What would be changed, and nothing else: to be read before answering yes.
    pub fn containment_lines(&self) -> Vec<String> {
        let mut out = vec![];
        for (i, phase) in self.phases.iter().enumerate().filter(|(_, p)| p.phase == PhaseKind::Contain) {
            phase_lines(&mut out, i + 1, phase);
        }
        out
    }

    /// The IAM policies alone, ready to paste.
    pub fn permission_lines(&self) -> Vec<String> {
        let mut out = vec![];
        let parts = [("reading", &self.permissions.reader), ("containing and restoring", &self.permissions.container)];
        for (what, documents) in parts {
            for (n, policy) in documents.iter().enumerate() {
                let of = if documents.len() > 1 { format!(", {} of {}", n + 1, documents.len()) } else { String::new() };
                out.push(String::new());
                out.push(format!("IAM policy for {what}{of}:"));
                out.extend(policy_lines(policy));
            }
        }
        for note in &self.permissions.notes {
            out.push(String::new());
            say_after(&mut out, "Note: ", note);
        }
        out
    }
}

impl Pinned {
    /// For whoever approves: what would be done, and every setting with its before and after.
    pub fn lines(&self) -> Vec<String> {
        let not_known = || "not known".to_string();
        let mut out = vec![
            format!("{}: {}", self.plan.playbook, self.plan.title),
            format!("target    {}", self.plan.target),
            format!("made      {} by {}", self.made_at, self.made_by),
            format!("revision  {}", self.function.revision_id.clone().unwrap_or_else(not_known)),
            format!("code      {}", self.function.code_sha256.clone().unwrap_or_else(not_known)),
            String::new(),
            format!("{} settings would be changed:", self.cells.iter().filter(|c| c.trouble.is_none()).count()),
        ];
        for cell in &self.cells {
            out.push(String::new());
            say_after(&mut out, "   ", &format!("{}: {}", cell.action, tame(&cell.label, 300)));
            let state = |v: &Option<serde_json::Value>| v.as_ref().map_or_else(not_known, |v| tame(&v.to_string(), 2000));
            say_after(&mut out, "       before  ", &state(&cell.before));
            say_after(&mut out, "       after   ", &state(&cell.after));
            if let Some(trouble) = &cell.trouble {
                say_after(&mut out, "       NOT SET ", &tame(trouble, 500));
            }
        }
        for trouble in &self.troubles {
            out.push(String::new());
            say_after(&mut out, &format!("   {} would do nothing: ", trouble.action), &tame(&trouble.what, 500));
        }
        out.extend(self.forecast.lines());
        out.push(String::new());
        out.extend(self.plan.containment_lines());
        out
    }
}

fn phase_lines(out: &mut Vec<String>, number: usize, phase: &PlannedPhase) {
    say_after(out, &format!("{number}. "), &format!("{}: {}", phase.phase, about(phase)));
    if let Some(why) = &phase.override_reason {
        say_after(out, "   ", &format!("before the evidence is verified, because: {why}"));
    }
    if phase.phase == PhaseKind::Contain {
        say_after(out, "   ", "before the first write the guardrails read lambda:GetFunction and, where it says no tags, lambda:ListTags");
    }
    if phase.approval == ApprovalRule::TwoPerson {
        say_after(
            out,
            "   ",
            "nothing is changed without another person's word on the pinned plan (`plan --out`, `approve`, `run --plan`)",
        );
    }
    for step in &phase.steps {
        out.push(String::new());
        step_lines(out, step);
    }
    if !phase.skipped.is_empty() {
        out.push(String::new());
        say_after(out, "   ", &format!("skipped by the operator: {}; what they ask stays open", phase.skipped.join(", ")));
    }
    if !phase.off.is_empty() {
        out.push(String::new());
        say_after(out, "   ", &format!("off in this playbook: {} (`enabled: true` turns it on)", phase.off.join(", ")));
    }
}

fn about(phase: &PlannedPhase) -> String {
    match phase.phase {
        PhaseKind::Collect => {
            "only reads, several at once, the most volatile first; what cannot be read becomes a gap, and the run goes on".to_string()
        }
        PhaseKind::Seal => "close the bundle; from here on nothing can be added (no calls)".to_string(),
        PhaseKind::Verify => "read the sealed bundle back and check it as a stranger would (no calls)".to_string(),
        PhaseKind::Archive => {
            "put each file of what is sealed into the bucket that --archive names, where nothing is; read back what S3 says of it"
                .to_string()
        }
        PhaseKind::Contain => {
            let how = match phase.on_failure {
                OnFailure::Hold => "if a step fails, what holds is kept and the rest is tried",
                OnFailure::Unwind => "if a step fails, everything this run has changed is restored",
            };
            format!("CHANGES AWS; what was there is journalled ahead of every write; {how}")
        }
    }
}

fn step_lines(out: &mut Vec<String>, step: &PlannedStep) {
    let given: Vec<String> = step.params.0.keys().filter_map(|name| Some(format!("{name}: {}", step.params.text(name)?))).collect();
    let given = if given.is_empty() { String::new() } else { format!("  ({})", given.join(", ")) };
    say_after(out, "   ", &format!("{}: {}{given}", step.unit, step.title));
    match &step.what {
        What::Collector { answers, .. } => say_after(out, "       ", answers),
        What::Action { stops, does_not_stop, side_effects, restore } => {
            for (label, text) in [("stops", stops), ("does not stop", does_not_stop), ("side effects", side_effects), ("restore", restore)]
            {
                say_after(out, &format!("       {label:<14}"), text);
            }
        }
    }
    for call in &step.calls {
        let verb = match call.access {
            Access::Read => "read ",
            Access::Write => "WRITE",
        };
        let name = call.action.clone().unwrap_or_else(|| format!("{}:{}", call.service.prefix(), call.operation));
        let head = format!("       {verb} {name}");
        match &call.how_often {
            Some(words) => say_after(out, &format!("{head:<55} "), words),
            None => out.push(head),
        }
    }
}

/// JSON as IAM's console shows it, with short lists on one line.
fn policy_lines(policy: &Policy) -> Vec<String> {
    // Strings and lists of strings: it cannot fail, and if it did the plan would say nothing rather than something wrong.
    serde_json::to_string_pretty(policy).unwrap_or_default().lines().map(|l| format!("  {l}")).collect()
}

/// `text` behind `head`, wrapped, further lines indented below its beginning.
pub(super) fn say_after(out: &mut Vec<String>, head: &str, text: &str) {
    let indent = head.chars().count();
    let mut line = head.to_string();
    let mut used = indent;
    for word in text.split_whitespace() {
        let space = usize::from(used > indent);
        let wide = word.chars().count();
        if used + space + wide > WIDTH && used > indent {
            out.push(std::mem::replace(&mut line, " ".repeat(indent)));
            used = indent;
        }
        if used > indent {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += wide;
    }
    out.push(line.trim_end().to_string());
}
