//! What a bundle tells of the stolen credentials, read by the commands that a responder would type: the table of keys, and every file that was
//! made of something else.

use super::command::Shell;
use super::incident::{Incident, names};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where the table lies in a bundle.
const TABLE: &str = "data/70-control/issued-keys.json";

pub struct Told {
    table: Value,
    /// Items whose files AWS's answers are, session tokens included.
    pub tokens_in_answers: usize,
    /// Files that were made of others, and those of them that hold a session token.
    pub derived: usize,
    pub tokens_in_derived: Vec<String>,
}

impl Told {
    /// `None` when there is no bundle, or no table in it.
    pub async fn read(shell: &Shell, bundle: Option<&PathBuf>) -> std::io::Result<Option<Told>> {
        let Some(bundle) = bundle else { return Ok(None) };
        let Ok(table) = serde_json::from_slice(&bytes(shell, bundle, TABLE).await?) else { return Ok(None) };
        let contents = shell.run(&["show", &bundle.to_string_lossy()]).await?.document;
        let mut told = Told { table, tokens_in_answers: 0, derived: 0, tokens_in_derived: vec![] };
        for item in contents["items"].as_array().into_iter().flatten() {
            let is_derived = item["derived_from"].as_array().is_some_and(|from| !from.is_empty());
            // Of the answers only those that can hold one: the rest is large, and another test's.
            if !is_derived && item["collector"] != "credential-activity" {
                continue;
            }
            for path in item["files"].as_array().into_iter().flatten().filter_map(|f| f["path"].as_str()) {
                let holds =
                    bytes(shell, bundle, path).await?.windows(names::TOKEN_MARKER.len()).any(|w| w == names::TOKEN_MARKER.as_bytes());
                match (is_derived, holds) {
                    (true, holds) => {
                        told.derived += 1;
                        told.tokens_in_derived.extend(holds.then(|| path.to_string()));
                    }
                    (false, holds) => told.tokens_in_answers += usize::from(holds),
                }
            }
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

async fn bytes(shell: &Shell, bundle: &Path, path: &str) -> std::io::Result<Vec<u8>> {
    Ok(shell.process(&["show", &bundle.to_string_lossy(), path]).output().await?.stdout)
}
