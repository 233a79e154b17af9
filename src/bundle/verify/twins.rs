//! Redacted twins, looked into: whether a redaction stands wherever one is listed. One twin at a time is in memory, and of bounded size.

use super::facts::Facts;
use crate::bundle::secrets;
use crate::bundle::source::BagSource;
use std::collections::HashSet;
use std::io::Read as _;

impl Facts {
    /// The twins, once it is known where redactions are to stand in them. They are read a second time, one after another.
    pub(super) fn twins(&mut self, source: &BagSource) {
        // A twin that several lines name is the secrets check's to report. Read anew for each, it would keep a reader busy for as long as a stranger likes.
        let mut seen = HashSet::new();
        for redaction in self.redactions.iter().filter(|r| seen.insert(&r.twin.path)) {
            let path = &redaction.twin.path;
            let at = |at: String| (path.clone(), at);
            let Some(Some((_, bytes))) = self.files.get(path) else { continue }; // missing or unreadable: said elsewhere
            if *bytes > secrets::LARGEST * 2 {
                self.unredacted.extend([at("it is longer than any twin".into())]);
                continue;
            }
            let mut text = vec![];
            let read = source
                .stream(path)
                .map_err(|e| e.to_string())
                .and_then(|from| from.take(secrets::LARGEST * 2).read_to_end(&mut text).map_err(|e| e.to_string()));
            if read.is_ok() {
                self.unredacted.extend(secrets::unredacted(&text, redaction).map(at));
            }
        }
    }
}
