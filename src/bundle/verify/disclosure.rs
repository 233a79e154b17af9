//! A disclosed copy: it has all that its source has but the sealed originals, unchanged, and says which source that is.

use super::Check;
use super::facts::{BAG_INFO, Facts, ITEMS, MANIFEST, SOURCE_BAG_INFO, SOURCE_MANIFEST, SOURCE_TAG_MANIFEST, STATEMENT};
use super::findings::{Findings, Level, remedy};
use crate::bundle::dsse;
use crate::bundle::secrets::SEALED;
use crate::model::digest::Sha256;

pub struct Disclosure;

/// Tag files that a copy has of its own.
pub const OWN: [&str; 3] = ["meta/README.txt", "meta/VERIFY.txt", "meta/CERTIFICATION.md"];

const ASK_SOURCE: &str = "Ask for the source bundle, and compare its root digest with the one that is named here.";

impl Check for Disclosure {
    fn id(&self) -> &'static str {
        "disclosure"
    }
    fn title(&self) -> &'static str {
        "a disclosed copy holds all of its source but what is sealed there, unchanged"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let Some(statement) = &facts.statement else { return };
        let told: Vec<&str> = facts.bag_info.iter().flat_map(|b| b.all("Source-Bag-Digest")).collect();
        if !facts.is_disclosure() {
            if !told.is_empty() || facts.files.keys().any(|p| p.as_str().starts_with("meta/source/")) {
                out.error(Some(BAG_INFO), "it names a source, and its statement does not say that it is a copy", remedy::ASK_MAKER);
            }
            return;
        }
        let Some(source) = &statement.predicate.previous else {
            out.error(Some(STATEMENT), "it is a copy, and does not say of what", remedy::ASK_MAKER);
            return;
        };
        let root = facts.digest(SOURCE_TAG_MANIFEST);
        if root != Some(source.root) {
            let what =
                format!("it says that it is a copy of the root {}, and the manifest that it brings of its source has another", source.root);
            out.error(Some(SOURCE_TAG_MANIFEST), what, remedy::OTHER_COPY);
        }
        if told != [source.root.to_string()] {
            out.error(Some(BAG_INFO), "`Source-Bag-Digest` is not the root that the statement names as its source", remedy::ASK_MAKER);
        }
        same(facts, out);
        signed(facts, &source.bundle, source.root, out);
    }
}

/// Every file that the source lists is here as it lists it, or is sealed there; and nothing else is here.
fn same(facts: &Facts, out: &mut Findings) {
    let (Some(payload), Some(tags)) = (&facts.source.manifest, &facts.source.tag_manifest) else {
        return out.error(Some(SOURCE_MANIFEST), "it does not bring the manifests of its source", remedy::OTHER_COPY);
    };
    let stated = |path: &str| crate::model::path::BundlePath::parse(path).ok().and_then(|p| tags.lines.get(&p).copied());
    for (name, at) in [(MANIFEST, SOURCE_MANIFEST), (BAG_INFO, SOURCE_BAG_INFO)] {
        if stated(name).is_none() || stated(name) != facts.digest(at) {
            out.error(Some(at), "it is not the one that the source's tag manifest lists", remedy::OTHER_COPY);
        }
    }
    for (path, digest) in payload.lines.iter().filter(|(p, _)| !p.as_str().starts_with(SEALED)) {
        if facts.digest(path.as_str()) != Some(*digest) {
            out.error(Some(path.as_str()), "the source lists it, it is not sealed there, and it is not here as it is there", ASK_SOURCE);
        }
    }
    for path in facts.files.keys().filter(|p| p.top() == "data" && (!payload.lines.contains_key(*p) || p.as_str().starts_with(SEALED))) {
        out.error(Some(path.as_str()), "the source has no such file, or it is sealed there: it is no part of a copy", ASK_SOURCE);
    }
    let copied = tags.lines.iter().filter(|(p, _)| p.as_str().starts_with("meta/") && !OWN.contains(&p.as_str()));
    for (path, digest) in copied {
        if facts.digest(path.as_str()) != Some(*digest) {
            out.error(Some(path.as_str()), "it is not as the source's tag manifest lists it", ASK_SOURCE);
        }
    }
    if stated(ITEMS).is_none() {
        out.error(Some(SOURCE_TAG_MANIFEST), "it lists no items: that is no bundle's", ASK_SOURCE);
    }
}

/// The source's own signature, where it has one: by which keys, and whether it stands.
fn signed(facts: &Facts, bundle: &str, root: Sha256, out: &mut Findings) {
    let source = &facts.source;
    let at = Some("meta/source/seal/");
    let about = source.statement.as_ref().and_then(|s| s.subject.first()?.digest.get("sha256").cloned());
    if about != Some(root.to_string()) {
        return out.error(at, "the statement of its source is missing, or is about another root", remedy::OTHER_COPY);
    }
    let Some(envelope) = &source.envelope else {
        return out.add(Level::Info, at, format!("a copy of {bundle}, root {root}, which is unsigned"), ASK_SOURCE);
    };
    let payload = envelope.payload().unwrap_or_default();
    let message = dsse::pae(&envelope.payload_type, &payload);
    let holds = |s: &&dsse::EnvelopeSignature| {
        let bytes = s.bytes().unwrap_or_default();
        source.keys.iter().any(|k| k.fingerprint() == s.keyid && k.verifies(&message, &bytes))
    };
    let held: Vec<String> = envelope.signatures.iter().take(8).filter(holds).map(|s| s.keyid.to_string()).collect();
    if payload != source.statement_bytes || held.is_empty() || held.len() < envelope.signatures.len().min(8) {
        return out.error(at, "a signature of its source does not hold", remedy::OTHER_COPY);
    }
    out.add(
        Level::Info,
        at,
        format!("a copy of {bundle}, root {root}, which is signed by {}, to be compared", held.join(", ")),
        ASK_SOURCE,
    );
}
