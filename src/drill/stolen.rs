//! What a bundle tells of the stolen credentials, read by the commands that a responder would type: the table of keys; and that secrets lie sealed.

use super::command::Shell;
use super::incident::{Incident, names};
use crate::bundle::secrets::SEALED;
use crate::bundle::source::{BagSource, EntryName};
use serde_json::Value;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Where the table lies in a bundle.
const TABLE: &str = "data/70-control/issued-keys.json";

pub struct Told {
    table: Value,
    /// Originals that are sealed, and those of them that hold a secret when the case's identity opens them.
    pub sealed: usize,
    pub secrets_sealed: usize,
    /// Files that lie in clear, what the function printed apart, and those of them that hold a secret.
    pub clear: usize,
    pub secrets_in_clear: Vec<String>,
}

impl Told {
    /// `None` when there is no bundle, or no table in it.
    pub async fn read(shell: &Shell, bundle: Option<&PathBuf>) -> std::io::Result<Option<Told>> {
        let Some(bundle) = bundle else { return Ok(None) };
        let Ok(table) = serde_json::from_slice(&bytes(shell, bundle, TABLE).await?) else { return Ok(None) };
        let mut told = Told { table, sealed: 0, secrets_sealed: 0, clear: 0, secrets_in_clear: vec![] };
        let bag = BagSource::open(bundle).map_err(io::Error::other)?;
        for entry in bag.files() {
            let EntryName::Path(path) = &entry.name else { continue };
            // What the function printed is evidence as it stands.
            if path.as_str().starts_with("data/60-invocation/") || path.as_str().starts_with(SEALED) {
                continue;
            }
            let mut content = vec![];
            bag.stream(path).map_err(io::Error::other)?.read_to_end(&mut content)?;
            told.clear += 1;
            told.secrets_in_clear.extend(holds_secret(&content).then(|| path.as_str().to_string()));
        }
        let originals = tempfile::tempdir()?;
        let to = originals.path().join("originals");
        let opened = shell.run(&["unseal", &bundle.to_string_lossy(), "--to", &to.to_string_lossy()]).await?.document;
        for file in opened["files"].as_array().into_iter().flatten() {
            told.sealed += usize::from(file["is_the_original"] == true && file["agrees_with_twin"] == true);
            let path = file["path"].as_str().unwrap_or_default();
            told.secrets_sealed += usize::from(holds_secret(&std::fs::read(to.join(path))?));
        }
        Ok(Some(told))
    }

    fn key(&self) -> Option<&Value> {
        self.table["keys"].as_array()?.iter().find(|k| k["accessKeyId"] == names::STOLEN_KEY_ID)
    }

    /// The key, by whom and from where it was used, and that it is called suspect.
    pub fn names_the_thief(&self) -> bool {
        let lists = |list: &Value, what: &str| list.as_array().is_some_and(|l| l.iter().any(|v| v == what));
        lists(&self.table["suspect"], names::STOLEN_KEY_ID)
            && self.key().is_some_and(|k| {
                lists(&k["sourceIPsOutsideLambda"], names::THIEF_ADDRESS) && k["signs"].as_array().is_some_and(|s| s.len() >= 2)
            })
    }

    pub fn keys(&self) -> usize {
        self.table["keys"].as_array().map_or(0, Vec::len)
    }

    /// When the last key dies; only where the table says that it is exact, and whose it is.
    pub fn last_expiry(&self) -> Option<&str> {
        let exact = self.table["lastExpiryIsExact"] == true && self.table["lastToExpire"] == names::STOLEN_KEY_ID;
        self.table["lastExpiry"].as_str().filter(|_| exact)
    }
}

/// When the thief's key dies, by how the incident was seeded: issued nine hours ago, for twelve.
pub fn last_expiry(incident: &Incident) -> String {
    (incident.seeded_at + chrono::TimeDelta::hours(3)).format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// A value of the suspect's environment, a session token, or what makes an address work.
fn holds_secret(bytes: &[u8]) -> bool {
    let values = names::SECRET_VARIABLES.iter().map(|(_, value)| *value);
    values.chain([names::TOKEN_MARKER, "X-Amz-Signature="]).any(|s| bytes.windows(s.len()).any(|w| w == s.as_bytes()))
}

async fn bytes(shell: &Shell, bundle: &Path, path: &str) -> std::io::Result<Vec<u8>> {
    Ok(shell.process(&["show", &bundle.to_string_lossy(), path]).output().await?.stdout)
}
