//! For each technique of the table: whether this bundle can show it, rule it out, or not decide, and why. A pure function of what was planned and
//! what came of it.
//!
//! *Can show* means that everything needed to see the mark was collected; whether the mark is there is for whoever reads it. *Ruled out* means that
//! AWS answered for everything needed that there is none, and that this is conclusive for how things stood at collection. Anything else is
//! *undecided*, with the gap, the skipped question or the missing collector that leaves it so.

use super::table::{Absence, COMING, Need, Source, TECHNIQUES, Technique};
use crate::bundle::documents::{PlannedUnit, UnitEnd};
use crate::bundle::schemas;
use crate::model::id::ItemId;
use crate::model::item::{Item, ItemStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `data/00-plan/techniques.json`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Techniques {
    /// Version of this form: 1.
    pub v: u32,
    /// What the words mean, for whoever has only this file.
    pub meaning: String,
    pub counts: TechniqueCounts,
    pub techniques: Vec<Judged>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TechniqueCounts {
    /// Everything needed to see the mark was collected. Says nothing about whether it is there.
    pub can_show: u64,
    /// AWS answered that there is none, and that is conclusive for the time of collection.
    pub ruled_out: u64,
    pub undecided: u64,
}

/// One technique against this bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    pub number: u8,
    pub title: String,
    /// MITRE ATT&CK ids.
    pub attack: Vec<String>,
    pub verdict: Verdict,
    pub why: String,
    pub marks: Vec<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    CanShow,
    RuledOut,
    Undecided,
}

/// Where the technique would leave a mark, and what this bundle has of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    pub mark: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub collector: Option<String>,
    pub state: MarkState,
    /// The items that hold it, or that say that there is none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub items: Vec<ItemId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkState {
    /// Collected, without a gap.
    Collected,
    /// AWS answered that there is none.
    Absent,
    /// Something of it could not be learnt.
    Gap,
    /// The collector did not come to its end.
    Unfinished,
    /// The operator skipped the collector.
    Skipped,
    /// The playbook does not use the collector.
    NotPlanned,
    /// Nothing in this build reads it.
    NotYet,
}

const MEANING: &str = "can_show: what is needed to see the mark was collected; whether the mark is there has not been looked at. ruled_out: AWS \
answered that there is none of what the technique needs, which is conclusive for the time of collection, not for before. undecided: neither.";

/// Judge every technique of the table. `planned` and `items` as they go into the seal.
pub fn examine(planned: &[PlannedUnit], items: &[Item]) -> Techniques {
    let units: BTreeMap<&str, &PlannedUnit> = planned.iter().map(|u| (u.unit.as_str(), u)).collect();
    let mut of_unit: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in items {
        of_unit.entry(item.collector.as_str()).or_default().push(item);
    }
    let evidence = Evidence { units, of_unit, gone: is_gone(items) };
    let techniques: Vec<Judged> = TECHNIQUES.iter().map(|t| evidence.judge(t)).collect();
    let count = |v: Verdict| techniques.iter().filter(|t| t.verdict == v).count() as u64;
    let counts =
        TechniqueCounts { can_show: count(Verdict::CanShow), ruled_out: count(Verdict::RuledOut), undecided: count(Verdict::Undecided) };
    Techniques { v: 1, meaning: MEANING.to_string(), counts, techniques }
}

/// Questions that AWS answers for every function that exists, be it with an empty list or without the setting (API reference of each). Collector,
/// and which of its items where it asks more than this.
const ANSWERED_WHILE_IT_EXISTS: [(&str, Option<&str>); 6] = [
    ("configuration", None),
    ("versions", None),
    ("aliases", None),
    ("function-urls", None),
    ("concurrency", None),
    ("event-source-mappings", Some("event source mappings of the function")),
];

/// AWS answered with "there is none" where that can be said of no function that exists. It may have been there when the first question was asked,
/// and be deleted while the others waited for their turn.
pub fn is_gone(items: &[Item]) -> bool {
    let tells =
        |i: &Item| ANSWERED_WHILE_IT_EXISTS.iter().any(|(id, of)| i.collector == *id && of.is_none_or(|subject| i.subject == subject));
    items.iter().any(|i| i.status == ItemStatus::NotFound && tells(i))
}

/// The document's JSON Schema: file name in `evidence-schema/` and content.
pub fn schema() -> (&'static str, String) {
    schemas::schema::<Techniques>("techniques.schema.json", "data/00-plan/techniques.json")
}

impl Techniques {
    /// The items that it was computed from.
    pub fn sources(&self) -> Vec<ItemId> {
        let all: BTreeSet<ItemId> = self.techniques.iter().flat_map(|t| &t.marks).flat_map(|m| m.items.iter().copied()).collect();
        all.into_iter().collect()
    }
}

/// In which collectors' items it would be seen, and where AWS answered that there is nothing to look into.
fn shown_by(marks: &[Mark]) -> String {
    let of = |state| {
        let ids: BTreeSet<&str> = marks.iter().filter(|m| m.state == state).filter_map(|m| m.collector.as_deref()).collect();
        ids.into_iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
    };
    let (there, none) = (of(MarkState::Collected), of(MarkState::Absent));
    if none.is_empty() { format!("collected: {there}") } else { format!("collected: {there}; AWS answered that there is none: {none}") }
}

struct Evidence<'b> {
    units: BTreeMap<&'b str, &'b PlannedUnit>,
    of_unit: BTreeMap<&'b str, Vec<&'b Item>>,
    gone: bool,
}

const fn is_absent(status: ItemStatus) -> bool {
    matches!(status, ItemStatus::Empty | ItemStatus::NotFound | ItemStatus::NotApplicable)
}

impl Evidence<'_> {
    fn judge(&self, technique: &Technique) -> Judged {
        // One sentence for each mark that is missing.
        let (mut marks, mut missing) = (vec![], vec![]);
        for need in technique.needs {
            let (mark, why) = self.look(need);
            missing.extend(why);
            marks.push(mark);
        }
        let all_absent = marks.iter().all(|m| m.state == MarkState::Absent);
        let (verdict, why) = match technique.absence {
            _ if !missing.is_empty() => (Verdict::Undecided, missing.join("; ")),
            Absence::Conclusive(why) if all_absent => (Verdict::RuledOut, format!("at collection {why}")),
            Absence::Open(why) if all_absent => (Verdict::Undecided, why.to_string()),
            _ => (Verdict::CanShow, shown_by(&marks)),
        };
        Judged {
            number: technique.number,
            title: technique.title.to_string(),
            attack: technique.attack.iter().map(ToString::to_string).collect(),
            verdict,
            why,
            marks,
        }
    }

    /// What there is of one mark; and if it is missing, why.
    fn look(&self, need: &Need) -> (Mark, Option<String>) {
        let told = |collector: Option<&str>, state, items, why| {
            (Mark { mark: need.mark.to_string(), collector: collector.map(str::to_string), state, items }, why)
        };
        let id = match need.source {
            Source::Collector(id) => id,
            Source::NotYet(why) => return told(None, MarkState::NotYet, vec![], Some(why.to_string())),
        };
        let nothing = |state, why: String| told(Some(id), state, vec![], Some(why));
        let Some(unit) = self.units.get(id) else {
            return if COMING.contains(&id) {
                nothing(MarkState::NotYet, format!("this build has no `{id}`"))
            } else {
                nothing(MarkState::NotPlanned, format!("`{id}` is no part of the playbook"))
            };
        };
        let none = vec![];
        let items = self.of_unit.get(id).unwrap_or(&none);
        let gaps = items.iter().filter(|i| i.status.gap().is_some()).count();
        let ids =
            |wanted: &dyn Fn(ItemStatus) -> bool| -> Vec<ItemId> { items.iter().filter(|i| wanted(i.status)).map(|i| i.id).collect() };
        let gap_ids = ids(&|s| s.gap().is_some());
        match unit.ended {
            UnitEnd::SkippedByOperator => return nothing(MarkState::Skipped, format!("`{id}` was {}", unit.ended.words())),
            UnitEnd::Done => {}
            other => return told(Some(id), MarkState::Unfinished, gap_ids, Some(format!("`{id}`: {}", other.words()))),
        }
        if gaps > 0 {
            let kinds: BTreeSet<&str> = items.iter().filter_map(|i| Some(i.status.gap()?.as_str())).collect();
            let kinds: Vec<&str> = kinds.into_iter().collect();
            let plural = if gaps == 1 { "gap" } else { "gaps" };
            return told(Some(id), MarkState::Gap, gap_ids, Some(format!("`{id}` has {gaps} {plural} ({})", kinds.join(", "))));
        }
        let collected = ids(&|s| s == ItemStatus::Collected);
        if !collected.is_empty() {
            return told(Some(id), MarkState::Collected, collected, None);
        }
        if items.is_empty() {
            return nothing(MarkState::Unfinished, format!("`{id}` left no item"));
        }
        // Of a function that is gone everything is absent, and that says nothing of how it was.
        let why = self.gone.then(|| format!("`{id}` found nothing, for the function is gone"));
        told(Some(id), MarkState::Absent, ids(&is_absent), why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gap::GapKind;
    use crate::model::item::{Group, Sensitivity};

    fn item(n: u32, collector: &str, status: ItemStatus) -> Item {
        Item {
            id: ItemId(n),
            group: Group::Config,
            collector: collector.into(),
            subject: "s".into(),
            status,
            sensitivity: Sensitivity::S0,
            files: vec![],
            exchanges: vec![],
            derived_from: vec![],
            provider_digest: None,
            detail: None,
            question: None,
            action: None,
        }
    }

    fn unit(id: &str, ended: UnitEnd) -> PlannedUnit {
        PlannedUnit { unit: id.into(), title: id.into(), question: "?".into(), group: Group::Config, ended, items: vec![] }
    }

    /// The verdict on one technique, when these units left these items.
    fn judged(number: u8, all: &[(&str, UnitEnd, &[ItemStatus])]) -> Judged {
        let planned: Vec<PlannedUnit> = all.iter().map(|(id, end, _)| unit(id, *end)).collect();
        let flat = all.iter().flat_map(|(id, _, statuses)| statuses.iter().map(move |s| (*id, *s)));
        let items: Vec<Item> = flat.enumerate().map(|(n, (id, s))| item(u32::try_from(n).unwrap() + 1, id, s)).collect();
        examine(&planned, &items).techniques.into_iter().find(|t| t.number == number).unwrap()
    }

    const HERE: (&str, UnitEnd, &[ItemStatus]) = ("configuration", UnitEnd::Done, &[ItemStatus::Collected]);
    /// The newer call for a policy, which answered that there is none.
    const NO_DOCUMENT: (&str, UnitEnd, &[ItemStatus]) = ("resource-policy-document", UnitEnd::Done, &[ItemStatus::NotFound]);

    #[test]
    fn absence_is_conclusive_only_where_the_table_says_so_and_all_of_it_is_absent() {
        use ItemStatus::{Collected, Empty, NotFound};
        let policy = |statuses| judged(7, &[HERE, NO_DOCUMENT, ("resource-policy", UnitEnd::Done, statuses)]);
        assert_eq!(policy(&[NotFound, NotFound]).verdict, Verdict::RuledOut);
        assert!(policy(&[NotFound]).why.starts_with("at collection "));
        assert_eq!(policy(&[NotFound, Collected]).verdict, Verdict::CanShow);
        assert_eq!(policy(&[]).verdict, Verdict::Undecided, "a unit that left nothing has said nothing");
        let document = judged(7, &[HERE, ("resource-policy", UnitEnd::Done, &[NotFound]), (NO_DOCUMENT.0, UnitEnd::Done, &[Collected])]);
        assert_eq!(document.verdict, Verdict::CanShow, "a grant may stand where only the newer call shows it");
        let history = judged(37, &[HERE, ("control-plane-history", UnitEnd::Done, &[Empty])]);
        assert_eq!((history.verdict, history.why.contains("ninety days")), (Verdict::Undecided, true));
    }

    #[test]
    fn what_can_be_shown_says_by_what_and_where_there_is_nothing_to_look_into() {
        use ItemStatus::{Collected, NotApplicable};
        let change = ("control-plane-history", UnitEnd::Done, &[Collected][..]);
        let t = judged(23, &[HERE, change, ("code-signing", UnitEnd::Done, &[NotApplicable])]);
        assert_eq!(
            (t.verdict, t.why.as_str()),
            (Verdict::CanShow, "collected: `control-plane-history`; AWS answered that there is none: `code-signing`")
        );
        let image = |status| judged(24, &[HERE, ("container-image", UnitEnd::Done, &[status])]);
        assert_eq!(image(NotApplicable).verdict, Verdict::RuledOut, "the function is no image");
        assert_eq!(image(Collected).why, "collected: `container-image`");
    }

    /// Whoever adds a collector for one of these changes the table with it.
    #[test]
    fn what_nothing_reads_is_known_by_name() {
        let needs = TECHNIQUES.iter().flat_map(|t| t.needs);
        let unread: Vec<&str> = needs.filter(|n| matches!(n.source, Source::NotYet(_))).map(|n| n.mark).collect();
        assert_eq!(unread, ["the memory of the environment", "data events of Invoke", "data events of S3"]);
    }

    #[test]
    fn one_gap_leaves_it_undecided_and_is_named() {
        use ItemStatus::{Gap, NotFound};
        let t = judged(7, &[HERE, NO_DOCUMENT, ("resource-policy", UnitEnd::Done, &[NotFound, Gap(GapKind::Denied)])]);
        assert_eq!((t.verdict, t.why.as_str()), (Verdict::Undecided, "`resource-policy` has 1 gap (denied)"));
        assert_eq!(t.marks[0].items.len(), 1, "the gap's own item");
    }

    #[test]
    fn what_was_not_asked_is_undecided_with_the_reason() {
        let one = |end| judged(7, &[HERE, NO_DOCUMENT, ("resource-policy", end, &[])]);
        assert_eq!(one(UnitEnd::SkippedByOperator).why, "`resource-policy` was skipped by the operator");
        assert_eq!(one(UnitEnd::CutShort).why, "`resource-policy`: cut short");
        assert_eq!(judged(7, &[HERE, NO_DOCUMENT]).why, "`resource-policy` is no part of the playbook");
        let never = judged(14, &[HERE]);
        assert_eq!(never.verdict, Verdict::Undecided);
        assert!(never.marks.iter().any(|m| m.state == MarkState::NotYet), "no call of AWS reads an environment's memory");
        assert!(TECHNIQUES.iter().all(|t| judged(t.number, &[]).verdict == Verdict::Undecided), "nothing asked, nothing decided");
    }

    #[test]
    fn a_function_that_is_gone_rules_nothing_out() {
        use ItemStatus::{Collected, NotFound};
        let gone = ("configuration", UnitEnd::Done, &[NotFound][..]);
        let t = judged(7, &[gone, ("resource-policy", UnitEnd::Done, &[NotFound])]);
        assert_eq!((t.verdict, t.why.contains("gone")), (Verdict::Undecided, true));
        let all = [gone, ("control-plane-history", UnitEnd::Done, &[Collected]), ("recent-invocations", UnitEnd::Done, &[Collected])];
        assert_eq!(judged(39, &all).verdict, Verdict::CanShow, "that it was deleted can be shown");
        assert_eq!(judged(18, &all).verdict, Verdict::Undecided, "what needs its configuration cannot: it is absent because all of it is");
    }

    #[test]
    fn a_function_that_was_deleted_while_it_was_read_rules_nothing_out() {
        use ItemStatus::{Empty, NotFound};
        let policy = ("resource-policy", UnitEnd::Done, &[NotFound][..]);
        for list in ["versions", "aliases", "function-urls", "concurrency"] {
            let t = judged(7, &[HERE, NO_DOCUMENT, policy, (list, UnitEnd::Done, &[NotFound])]);
            assert_eq!((t.verdict, t.why.contains("gone")), (Verdict::Undecided, true), "{list}: {}", t.why);
            assert_eq!(judged(7, &[HERE, NO_DOCUMENT, policy, (list, UnitEnd::Done, &[Empty])]).verdict, Verdict::RuledOut, "{list}");
        }
        assert_eq!(judged(4, &[HERE, ("aliases", UnitEnd::Done, &[NotFound])]).verdict, Verdict::Undecided);
        // An alias or a mapping may go alone.
        let mut alone = item(1, "event-source-mappings", NotFound);
        alone.subject = "event source mappings of alias live".into();
        assert!(!is_gone(&[alone]));
    }
}
