//! The playbooks that come with freezeframe, compiled in, and reading one of the user's own.

use super::problem::{Invalid, choice};
use super::{MAX_BYTES, Playbook, parse};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    pub name: &'static str,
    pub text: &'static str,
}

static SHIPPED: &[Shipped] = &[
    Shipped { name: "snapshot-only", text: include_str!("../../playbooks/snapshot-only.yaml") },
    Shipped { name: "triage", text: include_str!("../../playbooks/triage.yaml") },
    Shipped { name: "deep", text: include_str!("../../playbooks/deep.yaml") },
    Shipped { name: "stop-sources", text: include_str!("../../playbooks/stop-sources.yaml") },
    Shipped { name: "snapshot-and-contain", text: include_str!("../../playbooks/snapshot-and-contain.yaml") },
    Shipped { name: "contain-first", text: include_str!("../../playbooks/contain-first.yaml") },
    Shipped { name: "contain-fully", text: include_str!("../../playbooks/contain-fully.yaml") },
];

/// From the gentlest to the most hasty.
pub fn shipped() -> &'static [Shipped] {
    SHIPPED
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("no shipped playbook is called `{name}` ({help}); a file of your own is given by a path that ends in .yaml")]
    Unknown { name: String, help: String },
    #[error("cannot read the playbook {path}")]
    ReadFile {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{0}")]
    Invalid(Invalid),
}

/// A shipped playbook by its name, or a file by its path. A bare word is always a shipped name, so that a file that happens to lie in the
/// working directory never takes the place of a playbook that somebody trusts.
pub fn load(name_or_path: &str) -> Result<(Playbook, String), LoadError> {
    let is_path = name_or_path.contains(['/', '\\']) || name_or_path.ends_with(".yaml") || name_or_path.ends_with(".yml");
    let text = if is_path {
        let path = Path::new(name_or_path);
        let broken = |source| LoadError::ReadFile { path: path.display().to_string(), source };
        let mut text = String::new();
        // One byte more than allowed: enough for the reader to see that it is too large, whatever the file is.
        File::open(path).map_err(broken)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(broken)?;
        text
    } else {
        let names: Vec<&str> = SHIPPED.iter().map(|s| s.name).collect();
        let found = SHIPPED.iter().find(|s| s.name == name_or_path);
        let unknown = || LoadError::Unknown {
            name: name_or_path.chars().take(80).flat_map(char::escape_default).collect(),
            help: choice(name_or_path, &names),
        };
        found.ok_or_else(unknown)?.text.to_string()
    };
    let file = if is_path { name_or_path.to_string() } else { format!("playbooks/{name_or_path}.yaml") };
    let playbook = parse(&file, &text).map_err(LoadError::Invalid)?;
    Ok((playbook, text))
}
