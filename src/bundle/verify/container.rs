//! The container itself: names, links, sizes, overlaps, bytes that belong to nothing.

use super::Check;
use super::facts::Facts;
use super::findings::{Findings, remedy};

pub struct Container;

impl Check for Container {
    fn id(&self) -> &'static str {
        "container"
    }
    fn title(&self) -> &'static str {
        "the zip or directory plays no tricks, and every file in it can be read"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        for oddity in &facts.oddities {
            out.error(oddity.name.as_deref(), &oddity.what, remedy::OTHER_COPY);
        }
    }
}
