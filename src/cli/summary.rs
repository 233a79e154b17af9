//! A report for a person: gaps first, then what there is, then what to type next.

use super::render::Screen;
use crate::aws::fault::tame;
use crate::engine::report::Report;
use crate::model::outcome::Outcome;
use comfy_table::Table;
use owo_colors::OwoColorize as _;

/// Gaps spelled out; more are in the bundle's coverage.
const GAPS_SHOWN: usize = 12;

/// How every cell stands, as a table; none when nothing was to be changed.
fn table(report: &Report) -> Option<String> {
    let contained = report.containment.as_ref().map(|c| c.rows());
    let rows = contained.or_else(|| report.restoration.as_ref().map(|r| r.rows())).filter(|r| !r.is_empty())?;
    let mut table = Table::new();
    table.set_header(["cell", "outcome"]);
    for (label, outcome) in rows {
        table.add_row([tame(&label, 120), tame(&outcome, 240)]);
    }
    Some(table.to_string())
}

/// Planned, collected, not found and gaps by group; none when nothing was collected.
fn groups(report: &Report) -> Option<String> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["group", "planned", "not run", "collected", "not found", "gaps"]);
    for g in &report.groups {
        let numbers = [g.planned, g.not_run, g.collected, g.not_found, g.gaps].map(|n| n.to_string());
        table.add_row([g.group.as_str().to_string()].into_iter().chain(numbers));
    }
    (!report.groups.is_empty()).then(|| table.trim_fmt())
}

/// What a question is about, before it is asked.
pub fn cells(screen: Screen, report: &Report) {
    screen.remark(&report.headline);
    if let Some(table) = table(report) {
        screen.remark(&table);
    }
}

pub fn show(screen: Screen, report: &Report) {
    screen.document(report);
    let headline = tame(&report.headline, 4000);
    screen.text(&if report.gaps.is_empty() { headline.green().to_string() } else { headline.yellow().bold().to_string() });
    screen.text(&format!("case {} · run {} · {}", report.case, report.run, tame(&report.target, 300)));
    for gap in report.gaps.iter().take(GAPS_SHOWN) {
        let lift = gap.action.as_ref().map(|a| format!(" — allow {a}")).unwrap_or_default();
        screen.text(&format!(
            "  gap {} · {} · {}: {}{lift}",
            gap.kind.as_str(),
            gap.collector,
            tame(&gap.subject, 120),
            tame(&gap.detail, 200)
        ));
    }
    if report.gaps.len() > GAPS_SHOWN {
        screen.text(&format!("  … {} more in meta/coverage.json", report.gaps.len() - GAPS_SHOWN));
    }
    if let Some(table) = groups(report) {
        screen.text(&table);
    }
    if let Some(t) = &report.techniques {
        screen.text(&format!(
            "known techniques: {} this bundle can show, {} ruled out as of now, {} undecided (why: item `techniques`, data/00-plan/techniques.json)",
            t.can_show, t.ruled_out, t.undecided
        ));
    }
    for mismatch in &report.mismatches {
        screen.text(&format!("{} {}", "MISMATCH".red().bold(), tame(mismatch, 300)));
    }
    if let Some(table) = table(report) {
        screen.text(&table);
    }
    for line in report.forecast.iter().flat_map(|f| f.lines()) {
        screen.text(&line);
    }
    for refusal in &report.refusals {
        screen.text(&format!("{} ({}): {}", "NOT CONTAINED".red().bold(), tame(&refusal.rule, 60), tame(&refusal.why, 2000)));
        screen.text(&format!("  where it stands: {}", tame(&refusal.stands, 300)));
        screen.text(&format!("  what would lift it: {}", tame(&refusal.lift, 400)));
    }
    for watched in &report.watched {
        screen.text(&tame(&watched.words(), 400));
    }
    if let Some(approval) = &report.approval {
        screen.text(&format!("approved by {}", tame(&approval.approver, 300)));
    }
    for note in &report.notes {
        screen.text(&format!("note: {}", tame(note, 400)));
    }
    for bundle in &report.bundles {
        let state = if bundle.verified { "sealed and verified".green().to_string() } else { "unfinished".yellow().to_string() };
        screen.text(&format!(
            "{:?} bundle ({} items, {} bytes) {state}\n  {}\n  root {}",
            bundle.kind,
            bundle.items,
            bundle.bytes,
            bundle.path.display(),
            bundle.root
        ));
        match &bundle.signed_by[..] {
            [] => screen.text("  not signed"),
            keys => keys.iter().for_each(|key| screen.text(&format!("  signed by {key}"))),
        }
    }
    if report.bundles.iter().any(|b| b.signed_by.is_empty()) {
        screen.remark("to sign what is sealed from now on: freezeframe key new, or --kms-key ARN");
    }
    for archived in &report.archives {
        super::archive::show(screen, archived);
    }
    if let Some(bundle) = report.bundles.first() {
        screen.remark(&format!("\ncheck it:   freezeframe verify {}", bundle.path.display()));
        screen.remark("without us: unzip it and follow meta/VERIFY.txt");
    }
    if let Some(containment) = &report.containment {
        if matches!(containment.outcome(), Outcome::Complete | Outcome::PartlyContained) && !containment.dry_run {
            screen.remark(&format!("watch it:   freezeframe watch {}", report.case));
        }
        screen.remark(&format!("put back:   freezeframe restore {}", report.case));
    }
}
