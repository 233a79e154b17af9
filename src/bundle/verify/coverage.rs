//! Coverage against the items: what is claimed was done, and every gap is spelled out.

use super::Check;
use super::facts::{COVERAGE, Facts, ITEMS, STATEMENT};
use super::findings::{Findings, Level, remedy};
use crate::bundle::documents::UnitEnd;
use crate::model::gap::{Gap, GapKind};
use crate::model::id::ItemId;
use crate::model::item::Item;
use std::collections::BTreeMap;

pub struct CoverageCheck;

impl Check for CoverageCheck {
    fn id(&self) -> &'static str {
        "coverage"
    }
    fn title(&self) -> &'static str {
        "the coverage claims what the items show, and spells out every gap"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        // With unreadable lines the items are not all known; schema has reported them.
        let Some(items) = facts.items.as_ref().filter(|_| !facts.has_trouble(ITEMS)) else { return };
        let level = facts.absence();
        let gap_count = items.iter().filter(|i| i.status.gap().is_some()).count() as u64;
        if let Some(p) = facts.statement.as_ref().map(|s| &s.predicate)
            && (p.items, p.gaps) != (items.len() as u64, gap_count)
        {
            let what = format!("it states {} items with {} gaps, and there are {} with {gap_count}", p.items, p.gaps, items.len());
            out.add(level, Some(STATEMENT), what, remedy::ASK_MAKER);
        }
        let Some(coverage) = &facts.coverage else { return };
        if let Some(p) = facts.statement.as_ref().map(|s| &s.predicate)
            && p.finished != coverage.finished
        {
            let word = |f: bool| if f { "finished" } else { "interrupted" };
            let what = format!("it says that the run was {}, and the statement {}", word(coverage.finished), word(p.finished));
            out.add(level, Some(COVERAGE), what, remedy::ASK_MAKER);
        }

        let mut counted: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for item in items {
            *counted.entry(item.group.as_str().into()).or_default().entry(item.status.as_str().into()).or_default() += 1;
        }
        for group in counted.keys().chain(coverage.groups.keys().filter(|g| !counted.contains_key(*g))) {
            let tell = |m: Option<&BTreeMap<String, u64>>| {
                let all: Vec<String> = m.into_iter().flatten().filter(|(_, n)| **n > 0).map(|(s, n)| format!("{n} {s}")).collect();
                if all.is_empty() { "nothing".to_string() } else { all.join(", ") }
            };
            let (claimed, real) = (tell(coverage.groups.get(group)), tell(counted.get(group)));
            if claimed != real {
                out.add(level, Some(COVERAGE), format!("for `{group}` it claims {claimed}, and the items show {real}"), remedy::ASK_MAKER);
            }
        }
        gaps(items, &coverage.gaps, level, out);

        let by_id: BTreeMap<ItemId, &Item> = items.iter().map(|i| (i.id, i)).collect();
        for unit in &coverage.planned {
            for id in &unit.items {
                match by_id.get(id) {
                    None => {
                        out.add(level, Some(COVERAGE), format!("`{}` claims item {id}, which is not there", unit.unit), remedy::ASK_MAKER)
                    }
                    Some(item) if item.collector != unit.unit => {
                        let what = format!("`{}` claims item {id}, which is the work of `{}`", unit.unit, item.collector);
                        out.add(level, Some(COVERAGE), what, remedy::ASK_MAKER);
                    }
                    Some(_) => {}
                }
            }
            if unit.ended == UnitEnd::Done && unit.items.is_empty() {
                let what = format!("`{}` ran to its end, they say, and left no item: nothing tells what it learnt", unit.unit);
                out.warn(Some(COVERAGE), what, remedy::ASK_MAKER);
            }
        }
    }
}

/// Each gap among the items must stand in the list, and each in the list must be an item: as often as it occurs.
fn gaps(items: &[Item], listed: &[Gap], level: Level, out: &mut Findings) {
    let mut balance: BTreeMap<(GapKind, &str, &str), i64> = BTreeMap::new();
    for item in items {
        if let Some(kind) = item.status.gap() {
            *balance.entry((kind, &item.collector, &item.subject)).or_default() += 1;
        }
    }
    for gap in listed {
        *balance.entry((gap.kind, &gap.collector, &gap.subject)).or_default() -= 1;
        if gap.question.trim().is_empty() || gap.subject.trim().is_empty() {
            let what = format!("a gap of `{}` does not say what was asked and which question stays open", gap.collector);
            out.add(level, Some(COVERAGE), what, remedy::ASK_MAKER);
        }
    }
    for ((kind, collector, subject), n) in balance {
        let what = match n {
            0 => continue,
            1.. => format!("it hides a gap: `{collector}` could not learn `{subject}` ({})", kind.as_str()),
            _ => format!("it lists a gap that no item has: `{collector}`, `{subject}` ({})", kind.as_str()),
        };
        out.add(level, Some(COVERAGE), what, remedy::ASK_MAKER);
    }
}
