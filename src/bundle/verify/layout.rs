//! The bag's outer form: tag files, the documents that must be there, and signs that the run did not come to its end.

use super::Check;
use super::facts::{
    BAG_INFO, BAGIT, COVERAGE, ENVELOPE, Facts, ITEMS, KMS_PUBLIC_KEY, MANIFEST, PUBLIC_KEY, SEALING, STATEMENT, TAG_MANIFEST, TIMESTAMP,
};
use super::findings::{Findings, remedy};
use super::journal_reader::segment_number;
use crate::bundle::secrets::{REDACTIONS, WRAPPED_IDENTITY};

pub struct Layout;

/// Tag files that need no parsing, besides those that the checks read.
const PLAIN: [&str; 3] = ["meta/README.txt", "meta/VERIFY.txt", "meta/CERTIFICATION.md"];
/// What may lie in `seal/` beside the statement.
const SEAL: [&str; 6] = [ENVELOPE, PUBLIC_KEY, KMS_PUBLIC_KEY, SEALING, TIMESTAMP, WRAPPED_IDENTITY];
const REQUIRED: [&str; 6] = [BAGIT, BAG_INFO, MANIFEST, TAG_MANIFEST, ITEMS, COVERAGE];

impl Check for Layout {
    fn id(&self) -> &'static str {
        "layout"
    }
    fn title(&self) -> &'static str {
        "it is a finished BagIt 1.0 bag with every document that a bundle has"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        unfinished(facts, out);
        let missing = REQUIRED.iter().filter(|p| !facts.has(p)).copied();
        let missing: Vec<&str> = missing.chain(facts.journal.segments.is_empty().then_some("meta/journal/000001.jsonl")).collect();
        if facts.sealed() {
            for path in &missing {
                out.error(Some(path), "it is missing, though the bundle is sealed", remedy::OTHER_COPY);
            }
        } else if !missing.is_empty() {
            out.warn(None, format!("not written yet: {}", missing.join(", ")), remedy::UNFINISHED);
        }
        bagit(facts, out);
        bag_info(facts, out);
        unknown(facts, out);
    }
}

fn unfinished(facts: &Facts, out: &mut Findings) {
    if facts.has_tmp {
        out.warn(Some("tmp/"), "the draft's working files are still there: the run was cut off before its end", remedy::UNFINISHED);
    }
    if !facts.sealed() {
        out.warn(Some(STATEMENT), "there is no statement: the bundle was never sealed", remedy::UNFINISHED);
    }
    if facts.statement.as_ref().is_some_and(|s| !s.predicate.finished) {
        out.warn(Some(STATEMENT), "the run was interrupted, and says so: planned questions may be missing", remedy::UNFINISHED);
    }
}

fn bagit(facts: &Facts, out: &mut Findings) {
    let Some(tag) = &facts.bagit else { return };
    let one = |label: &'static str, known: &[&str]| {
        let mut values = tag.all(label);
        values.next().is_some_and(|v| known.contains(&v)) && values.next().is_none()
    };
    if tag.bad.is_some() || tag.fields.len() != 2 || !one("BagIt-Version", &["1.0"]) || !one("Tag-File-Character-Encoding", &["UTF-8"]) {
        out.add(
            facts.absence(),
            Some(BAGIT),
            "it does not say `BagIt-Version: 1.0` and `Tag-File-Character-Encoding: UTF-8`, and nothing else",
            remedy::OTHER_COPY,
        );
    }
}

fn bag_info(facts: &Facts, out: &mut Findings) {
    if facts.has("fetch.txt") {
        out.error(Some("fetch.txt"), "it claims payload that lies elsewhere; a bundle holds all of its own", remedy::OTHER_COPY);
    }
    let Some(tag) = &facts.bag_info else { return };
    if let Some(bad) = &tag.bad {
        out.add(facts.absence(), Some(BAG_INFO), bad, remedy::OTHER_COPY);
    }
    for (label, stated) in facts.statement.iter().map(|s| ("External-Identifier", s.predicate.case.as_str())) {
        if let Some(other) = tag.all(label).find(|v| *v != stated) {
            out.error(Some(BAG_INFO), format!("`{label}` is `{other}`, yet the statement says `{stated}`"), remedy::ASK_MAKER);
        }
    }
    let oxums: Vec<&str> = tag.all("Payload-Oxum").collect();
    let [oxum] = oxums[..] else {
        let what = format!("it states `Payload-Oxum` {} times where once is right", oxums.len());
        out.add(facts.absence(), Some(BAG_INFO), what, remedy::ASK_MAKER);
        return;
    };
    // Where the manifest and the payload disagree, the manifest check says so file by file, and the sum adds nothing.
    if let Some(m) = &facts.manifest {
        let same = |(p, f): (&_, &Option<(_, u64)>)| f.is_some_and(|f| m.lines.get(p) == Some(&f.0));
        let listed = facts.files.iter().filter(|(p, _)| p.top() == "data").filter(|x| same(*x)).count();
        if listed != m.lines.len() || facts.files.keys().filter(|p| p.top() == "data").count() != listed {
            return;
        }
    }
    let payload = || facts.files.iter().filter(|(p, _)| p.top() == "data");
    let real = format!("{}.{}", payload().map(|(_, f)| f.map_or(0, |f| f.1)).sum::<u64>(), payload().count());
    if oxum != real {
        out.add(
            facts.absence(),
            Some(BAG_INFO),
            format!("`Payload-Oxum` is `{oxum}`, yet the payload is `{real}` (bytes, then files)"),
            remedy::ASK_MAKER,
        );
    }
}

fn unknown(facts: &Facts, out: &mut Findings) {
    // What could not be read is the container check's to report.
    for path in facts.files.iter().filter(|(_, f)| f.is_some()).map(|(p, _)| p) {
        let p = path.as_str();
        let known = REQUIRED.contains(&p)
            || PLAIN.contains(&p)
            || SEAL.contains(&p)
            || p == STATEMENT
            || p == REDACTIONS
            || p == "fetch.txt"
            || (facts.is_disclosure() && p.starts_with("meta/source/"))
            || segment_number(p).is_some();
        if known || matches!(path.top(), "data" | "tmp") {
            continue;
        }
        // Addenda come after sealing; who wrote them checks them.
        if p.starts_with("seal/addenda/") {
            continue;
        }
        if path.top() == "seal" {
            out.warn(Some(p), "this build does not know the file, and no digest covers what lies in seal/", remedy::NEWER_BUILD);
        } else if facts.tag_manifest.as_ref().is_some_and(|m| m.lines.contains_key(path)) {
            out.warn(
                Some(p),
                "this build does not know the file; its digest is covered, its content was not looked at",
                remedy::NEWER_BUILD,
            );
        } // what no manifest lists is the tag manifest check's to report
    }
}
