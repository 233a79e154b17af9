//! The statement against the root: what was sealed is what lies here.

use super::Check;
use super::facts::{Facts, STATEMENT, TAG_MANIFEST};
use super::findings::{Findings, remedy};
use crate::bundle::documents::{PREDICATE_TYPE, STATEMENT_TYPE};
use crate::bundle::schemas;

pub struct Root;

impl Check for Root {
    fn id(&self) -> &'static str {
        "root"
    }
    fn title(&self) -> &'static str {
        "the statement is about this root digest, in forms that this build knows"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let Some(statement) = &facts.statement else { return };
        if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
            let what = format!("it is a `{}` of `{}`, which this build does not know", statement.kind, statement.predicate_type);
            out.error(Some(STATEMENT), what, remedy::NEWER_BUILD);
        }
        let subject = match &statement.subject[..] {
            [one] if one.name == TAG_MANIFEST => one.digest.get("sha256"),
            _ => None,
        };
        match (subject, facts.digest(TAG_MANIFEST)) {
            (None, _) => out.error(Some(STATEMENT), format!("its subject is not the SHA-256 of {TAG_MANIFEST}, alone"), remedy::OTHER_COPY),
            (Some(stated), Some(root)) if *stated == root.to_string() => {}
            (Some(stated), Some(root)) => {
                let what = format!(
                    "it was made for the root {stated}, and this bundle's root is {root}: the statement or the manifests were replaced"
                );
                out.error(Some(STATEMENT), what, remedy::OTHER_COPY);
            }
            (Some(_), None) => {} // missing or unreadable: said by layout or container
        }
        if let Some(name) = facts.archive_directory.as_deref().filter(|n| *n != statement.predicate.bundle) {
            let what = format!("it is about the bundle `{}`, and the archive calls itself `{name}`", statement.predicate.bundle);
            out.warn(Some(STATEMENT), what, "A renamed copy is still the same evidence: go by the root digest.");
        }
        for (document, version) in &statement.predicate.schemas {
            let known = schemas::versions().get(document).copied();
            if known != Some(*version) {
                let what =
                    format!("it says that the bundle follows version {version} of the form `{document}`, which this build does not know");
                out.error(Some(STATEMENT), what, remedy::NEWER_BUILD);
            }
        }
    }
}
