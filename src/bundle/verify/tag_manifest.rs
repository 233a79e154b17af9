//! Every other file against `tagmanifest-sha256.txt`.

use super::Check;
use super::facts::{BAG_INFO, BAGIT, COVERAGE, Facts, ITEMS, MANIFEST, TAG_MANIFEST};
use super::findings::{Findings, remedy};
use super::manifest::lines;

pub struct TagManifest;

impl Check for TagManifest {
    fn id(&self) -> &'static str {
        "tag-manifest"
    }
    fn title(&self) -> &'static str {
        "every file outside data/ and seal/ is listed, and has the digest that is listed"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let Some(manifest) = &facts.tag_manifest else { return };
        lines(TAG_MANIFEST, manifest, facts, out);
        for path in manifest.lines.keys().filter(|p| matches!(p.top(), "data" | "tmp" | "seal" | TAG_MANIFEST)) {
            out.error(Some(TAG_MANIFEST), format!("it lists `{}`, which is not its to list", path.as_str()), remedy::OTHER_COPY);
        }
        for path in facts.files.keys() {
            let outside = matches!(path.top(), "data" | "seal" | "tmp" | TAG_MANIFEST);
            if outside || manifest.lines.contains_key(path) {
                continue;
            }
            let what = match path.as_str() {
                BAGIT | BAG_INFO | MANIFEST | ITEMS | COVERAGE => "it is not listed, so that the root digest does not cover it",
                p if p.starts_with("meta/journal/") => "it is not listed: a segment was added, or its line taken away",
                _ => "it is not listed: somebody added it (a desktop's own .DS_Store or Thumbs.db may be deleted)",
            };
            out.add(facts.absence(), Some(path.as_str()), what, remedy::OTHER_COPY);
        }
    }
}
