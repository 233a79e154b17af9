//! Digests that AWS itself states, recomputed from the bytes here.

use super::Check;
use super::facts::{Facts, ITEMS};
use super::findings::{Findings, Level, remedy, shown};
use super::verification::ProviderCheck;
use crate::model::digest::Sha256;
use crate::model::item::Item;
use crate::model::path::BundlePath;
use std::collections::BTreeSet;

pub struct Provider;

impl Check for Provider {
    fn id(&self) -> &'static str {
        "provider-digest"
    }
    fn title(&self) -> &'static str {
        "digests stated by AWS are the digests of the bytes here"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let sealed = sealed_whole(facts);
        for (item, digest) in facts.items.iter().flatten().filter_map(|i| Some((i, i.provider_digest.as_ref()?))) {
            let at = Some(item.files.last().map_or(ITEMS, |f| f.path.as_str()));
            let who = format!("`{}` of item {}", digest.name, item.id);
            match (digest.matches, recomputed(facts, &sealed, item, &digest.value)) {
                (true, Some(true)) => {}
                (true, Some(false)) => {
                    let what = format!("{who} is {}, and no file of the item has that digest, though the bundle says so", digest.value);
                    out.error(at, what, remedy::OTHER_COPY);
                }
                (false, Some(true)) => {
                    let what = format!("{who} matches the bytes here, though the bundle says that it did not");
                    out.error(at, what, remedy::ASK_MAKER);
                }
                (false, Some(false)) => {
                    let what =
                        format!("what AWS handed out is not what it says it is: {who} is {}, and the bytes are others", digest.value);
                    out.warn(at, what, "Keep both: ask AWS Support why, and do not assume that the code here is the code that ran.");
                }
                (_, None) if is_sealed(&sealed, item) => {
                    let what = format!("{who} can be recomputed only from the sealed original");
                    out.add(Level::Info, at, what, "Open it (freezeframe unseal), and compare its SHA-256.");
                }
                (_, None) if known_form(&digest.value) && !item.files.is_empty() => {} // its file is missing or unreadable: said elsewhere
                (_, None) => {
                    let what = format!("{who} could not be recomputed: it is of no known form, or no file goes with it");
                    out.warn(at, what, "Compare it by hand with the file's SHA-256.");
                }
            }
        }
    }
}

/// Twins of files that are sealed whole.
fn sealed_whole(facts: &Facts) -> BTreeSet<&BundlePath> {
    facts.redactions.iter().filter(|r| r.whole.is_some()).map(|r| &r.twin.path).collect()
}

/// The bytes that the digest is of lie encrypted.
fn is_sealed(sealed: &BTreeSet<&BundlePath>, item: &Item) -> bool {
    item.files.iter().any(|f| sealed.contains(&f.path))
}

/// Base64 as in `CodeSha256`, or hexadecimal as in OCI (`sha256:…`).
fn known_form(value: &str) -> bool {
    let base64 = value.len() == 44 && value.ends_with('=');
    base64 || Sha256::from_hex(value.strip_prefix("sha256:").unwrap_or(value)).is_some()
}

/// Whether some file of the item has the digest; `None` where that cannot be said.
fn recomputed(facts: &Facts, sealed: &BTreeSet<&BundlePath>, item: &Item, value: &str) -> Option<bool> {
    if !known_form(value) {
        return None;
    }
    if is_sealed(sealed, item) {
        return None;
    }
    let hex = value.strip_prefix("sha256:").unwrap_or(value);
    let digests: Vec<Sha256> = item.files.iter().filter_map(|f| facts.digest(f.path.as_str())).collect();
    (!digests.is_empty()).then(|| digests.iter().any(|d| d.to_base64() == value || Sha256::from_hex(hex) == Some(*d)))
}

pub fn recompute(facts: &Facts) -> Vec<ProviderCheck> {
    let stated = facts.items.iter().flatten().filter_map(|i| Some((i, i.provider_digest.as_ref()?)));
    let sealed = sealed_whole(facts);
    stated
        .map(|(item, d)| ProviderCheck {
            item: item.id,
            subject: shown(&item.subject, 300),
            name: shown(&d.name, 80),
            value: shown(&d.value, 200),
            recorded_match: d.matches,
            recomputed_match: recomputed(facts, &sealed, item, &d.value),
        })
        .collect()
}
