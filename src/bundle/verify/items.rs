//! Items, exchanges and payload name each other, and agree. Digests are compared with the manifest's, not with the bytes: changed bytes are
//! the manifest check's to report, once.

use super::Check;
use super::facts::{Facts, ITEMS, REDACTIONS};
use super::findings::{Findings, remedy};
use crate::bundle::documents::BundleKind;
use crate::bundle::secrets::{COMMITMENT_KEY, SEALED};
use crate::model::digest::Sha256;
use crate::model::item::FileRef;
use crate::model::path::BundlePath;
use std::collections::{BTreeMap, BTreeSet};

pub struct Items;

impl Check for Items {
    fn id(&self) -> &'static str {
        "items"
    }
    fn title(&self) -> &'static str {
        "every item's files and exchanges are there and agree, and no payload file is unaccounted for"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let Some(items) = &facts.items else { return };
        let payload = facts.payload();
        let records_known = !cannot_tell(facts);
        let commitment_key = BundlePath::parse(COMMITMENT_KEY).ok();
        let mut named: BTreeSet<&BundlePath> = commitment_key.iter().chain(facts.redactions.iter().map(|r| &r.sealed.path)).collect();
        let (listed, mut ids) = (items.iter().map(|i| i.id).collect::<BTreeSet<_>>(), BTreeSet::new());
        for item in items {
            let id = item.id;
            if !ids.insert(id) {
                out.add(facts.absence(), Some(ITEMS), format!("two items have the number {id}"), remedy::ASK_MAKER);
            }
            // A disclosed copy has no originals; `disclosure` says whether all else is here.
            let here = |file: &&FileRef| !(facts.is_disclosure() && file.path.as_str().starts_with(SEALED));
            for file in item.files.iter().filter(here) {
                named.insert(&file.path);
                agree(facts, &payload, &format!("item {id}"), &file.path, Some(file.sha256), file.bytes, out);
            }
            for x in item.exchanges.iter().filter(|x| records_known && !facts.exchanges.contains_key(x)) {
                out.add(
                    facts.absence(),
                    Some(ITEMS),
                    format!("item {id} rests on exchange {x}, of which there is no record"),
                    remedy::ASK_MAKER,
                );
            }
            for from in item.derived_from.iter().filter(|from| records_known && !listed.contains(from)) {
                out.add(
                    facts.absence(),
                    Some(ITEMS),
                    format!("item {id} was computed from item {from}, which is not listed"),
                    remedy::ASK_MAKER,
                );
            }
        }
        for (id, path) in &facts.doubled_exchanges {
            named.insert(path);
            out.add(facts.absence(), Some(path.as_str()), format!("another record has the number {id} already"), remedy::ASK_MAKER);
        }
        for (id, x) in &facts.exchanges {
            named.insert(&x.path);
            if let Some(body) = &x.body {
                named.insert(body);
                agree(facts, &payload, &format!("exchange {id}"), body, x.body_sha256, x.body_bytes, out);
            }
        }
        if !records_known {
            return;
        }
        let kind = facts.about();
        for path in payload.keys().filter(|p| !named.contains(*p) && !plain_document(p, kind)) {
            out.add(
                facts.absence(),
                Some(path.as_str()),
                "no item and no exchange names it: nothing says where it came from",
                remedy::ASK_MAKER,
            );
        }
    }
}

/// Documents that stand for themselves: the plan and what triggered it, and the report of changes in a containment or restore bundle.
fn plain_document(path: &BundlePath, kind: Option<BundleKind>) -> bool {
    let directly_in = |dir: &str| path.as_str().strip_prefix(dir).is_some_and(|name| !name.contains('/') && !name.ends_with(".http.json"));
    directly_in("data/00-plan/") || (matches!(kind, Some(BundleKind::Containment | BundleKind::Restore)) && directly_in("data/90-contain/"))
}

/// A record that could not be read or parsed cannot be asked what it names. Other checks have reported it.
fn cannot_tell(facts: &Facts) -> bool {
    let names_files = |p: &BundlePath| matches!(p.as_str(), ITEMS | REDACTIONS) || p.as_str().ends_with(".http.json");
    facts.troubles.iter().any(|t| names_files(&t.path)) || facts.files.iter().any(|(p, f)| f.is_none() && names_files(p))
}

fn agree(
    facts: &Facts,
    payload: &BTreeMap<&BundlePath, Option<Sha256>>,
    who: &str,
    path: &BundlePath,
    digest: Option<Sha256>,
    bytes: u64,
    out: &mut Findings,
) {
    let at = Some(path.as_str());
    match payload.get(path) {
        None if facts.files.contains_key(path) && path.top() == "data" => {} // an extra file: the manifest check says so
        None => out.add(facts.absence(), at, format!("{who} names it, and it is neither there nor listed"), remedy::ASK_MAKER),
        Some(None) => {}
        Some(Some(listed)) => {
            if digest.is_some_and(|d| d != *listed) || digest.is_none() {
                let stated = digest.map_or("no digest".to_string(), |d| d.to_string());
                out.add(facts.absence(), at, format!("{who} states {stated} for it, and the manifest {listed}"), remedy::ASK_MAKER);
            } else if let Some(Some((real, length))) = facts.files.get(path)
                && real == listed
                && *length != bytes
            {
                out.add(facts.absence(), at, format!("{who} states {bytes} bytes for it, and it has {length}"), remedy::ASK_MAKER);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::item::Item;
    use std::time::Instant;

    /// Looked for one by one, they take many minutes.
    #[test]
    fn an_item_computed_from_many_others_is_looked_at_in_no_time() {
        const MANY: u64 = 100_000;
        let item = |n: u64| -> Item {
            let text =
                format!(r#"{{"id":"i{n:06}","group":"config","collector":"c","subject":"s","status":"collected","sensitivity":"s2"}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let mut items: Vec<Item> = (1..=MANY).map(item).collect();
        items[0].derived_from = vec![items[MANY as usize - 1].id; MANY as usize];
        items[1].derived_from = vec![item(MANY + 1).id];
        let mut facts = Facts::default();
        facts.items.replace(items);
        let (began, mut out) = (Instant::now(), Findings::default());
        Items.run(&facts, &mut out);
        assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
        let found = out.into_vec();
        assert!(found.len() == 1 && found[0].message.contains("computed from item i100001"), "{found:?}");
    }
}
