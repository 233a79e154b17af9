//! The JSON Schemas of what the faces print: `--json` of each command, and the handler's reply. The documents inside a bundle have theirs in
//! `bundle::schemas`; `evidence-schema/` holds both.

use super::documents::{
    Contents, ControlDocument, ErrorDocument, GuardChecked, GuardText, PlaybookChecked, PlaybookText, Playbooks, RestoreScript, Shown,
};
use crate::bundle::schemas::schema;
use crate::engine::report::Report;
use crate::handler::explain::Explanation;
use crate::handler::reply::Reply;

/// File name in `evidence-schema/` and its content.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        schema::<Report>("report.schema.json", "What `snapshot`, `run`, `contain` and `restore` print with --json"),
        crate::plan::schema(),
        schema::<super::documents::Foretold>(
            "foretold.schema.json",
            "What `plan` prints with --json: the plan, and what its containment would mean here",
        ),
        schema::<crate::plan::pin::Pinned>(
            "pinned-plan.schema.json",
            "What `plan --out` writes, and what lies in data/00-plan/pinned-plan.json",
        ),
        schema::<crate::model::journal_event::ApprovalRecord>("approval.schema.json", "What `approve` prints with --json"),
        crate::examine::techniques::schema(),
        schema::<super::documents::CustodyDocument>("custody.schema.json", "What `custody` prints with --json"),
        schema::<super::documents::Unsealed>("unsealed.schema.json", "What `unseal` prints with --json"),
        schema::<crate::bundle::opening::AccessRecord>(
            "access-record.schema.json",
            "access.json of an addendum: what `unseal` writes down",
        ),
        schema::<crate::bundle::disclose::DisclosureRecord>(
            "disclosure-record.schema.json",
            "disclosure.json of an addendum: what `disclose` writes down",
        ),
        schema::<super::documents::Proven>("proven.schema.json", "What `unseal --prove` prints with --json"),
        schema::<super::documents::DisclosedCopy>("disclosed.schema.json", "What `disclose` prints with --json"),
        schema::<super::documents::KeyShown>("key.schema.json", "What `key new` and `key show` print with --json"),
        schema::<crate::engine::watch::WatchReport>("watch.schema.json", "What `watch` prints with --json"),
        schema::<RestoreScript>("restore-script.schema.json", "What `restore --print-script` prints with --json"),
        schema::<crate::archive::Archived>("archived.schema.json", "What `archive` prints with --json"),
        schema::<crate::archive::ArchiveRecord>(
            "archive-record.schema.json",
            "seal/addenda/NNNNNN/archive.json, in the bucket and beside the bundle",
        ),
        schema::<crate::engine::salvage::Salvaged>("salvaged.schema.json", "What `salvage` prints with --json"),
        schema::<crate::archive::Fetched>("fetched.schema.json", "What `fetch` prints with --json"),
        schema::<crate::engine::listing::Listing>("listing.schema.json", "What `list` prints with --json"),
        schema::<Contents>("contents.schema.json", "What `show <bundle>` prints with --json"),
        schema::<Shown>("shown.schema.json", "What `show <bundle> <item>` prints with --json"),
        schema::<Playbooks>("playbooks.schema.json", "What `playbook list` prints with --json"),
        schema::<PlaybookText>("playbook-text.schema.json", "What `playbook show` prints with --json"),
        schema::<PlaybookChecked>("playbook-checked.schema.json", "What `playbook check` prints with --json for a good playbook"),
        schema::<ControlDocument>("control.schema.json", "What `halt` and `resume` print with --json"),
        schema::<GuardChecked>("guard-checked.schema.json", "What `guard check` prints with --json for a good policy"),
        schema::<GuardText>("guard-text.schema.json", "What `guard show` prints with --json"),
        schema::<Explanation>("explanation.schema.json", "What `explain` prints with --json"),
        schema::<ErrorDocument>("error.schema.json", "What any command prints with --json when it could not do what was asked"),
        #[cfg(feature = "drill")]
        schema::<super::documents::Drilled>("drilled.schema.json", "What `drill` prints with --json"),
        schema::<Reply>("reply.schema.json", "What the handler answers"),
    ]
}
