//! An item: the recorded outcome of one question.

use super::digest::Sha256;
use super::gap::GapKind;
use super::id::{ExchangeId, ItemId};
use super::path::BundlePath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The part of the bundle that an item lies in; `dir` is its directory below `data/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    Plan,
    Code,
    Config,
    Policy,
    Triggers,
    Identity,
    Invocation,
    Control,
    Network,
    Detections,
    Contain,
}

impl Group {
    pub const ALL: [Group; 11] = [
        Group::Plan,
        Group::Code,
        Group::Config,
        Group::Policy,
        Group::Triggers,
        Group::Identity,
        Group::Invocation,
        Group::Control,
        Group::Network,
        Group::Detections,
        Group::Contain,
    ];

    pub const fn dir(self) -> &'static str {
        match self {
            Group::Plan => "data/00-plan",
            Group::Code => "data/10-code",
            Group::Config => "data/20-config",
            Group::Policy => "data/30-policy",
            Group::Triggers => "data/40-triggers",
            Group::Identity => "data/50-identity",
            Group::Invocation => "data/60-invocation",
            Group::Control => "data/70-control",
            Group::Network => "data/80-network",
            Group::Detections => "data/85-detections",
            Group::Contain => "data/90-contain",
        }
    }
    pub const fn as_str(self) -> &'static str {
        match self {
            Group::Plan => "plan",
            Group::Code => "code",
            Group::Config => "config",
            Group::Policy => "policy",
            Group::Triggers => "triggers",
            Group::Identity => "identity",
            Group::Invocation => "invocation",
            Group::Control => "control",
            Group::Network => "network",
            Group::Detections => "detections",
            Group::Contain => "contain",
        }
    }
}

/// How bad it would be if a stranger read it (evidence-inventory.md): `s3` secrets likely … `s0` public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    S0,
    S1,
    S2,
    S3,
}

/// Every question ends in exactly one of these. `collected`, `empty`, `not_applicable` and `not_found` are answers; the rest are gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    Collected,
    /// AWS answered, and there was nothing (a list of length zero).
    Empty,
    /// The question does not arise for this target (no boundary to read when the role has none).
    NotApplicable,
    /// AWS said that it does not exist. Absence is evidence.
    NotFound,
    #[serde(untagged)]
    Gap(GapKind),
}

impl ItemStatus {
    pub const fn gap(self) -> Option<GapKind> {
        match self {
            ItemStatus::Gap(kind) => Some(kind),
            _ => None,
        }
    }
    pub const fn as_str(self) -> &'static str {
        match self {
            ItemStatus::Collected => "collected",
            ItemStatus::Empty => "empty",
            ItemStatus::NotApplicable => "not_applicable",
            ItemStatus::NotFound => "not_found",
            ItemStatus::Gap(kind) => kind.as_str(),
        }
    }
}

/// One file of the payload, as it was when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRef {
    pub path: BundlePath,
    pub bytes: u64,
    pub sha256: Sha256,
}

/// A digest that AWS itself states for a file, in AWS's own form, and whether our bytes agree with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderDigest {
    /// The member that states it: `CodeSha256`.
    pub name: String,
    /// As AWS printed it (base64 for `CodeSha256`).
    pub value: String,
    pub matches: bool,
}

/// One line of `meta/items.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    pub id: ItemId,
    pub group: Group,
    pub collector: String,
    /// What was asked, in words that need no knowledge of freezeframe.
    pub subject: String,
    pub status: ItemStatus,
    pub sensitivity: Sensitivity,
    /// Files that answer the question, in order (one for each page).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub files: Vec<FileRef>,
    /// Every attempt made for it, in order, failures included.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub exchanges: Vec<ExchangeId>,
    /// Items that this one was computed from.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub derived_from: Vec<ItemId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub provider_digest: Option<ProviderDigest>,
    /// For a gap: what AWS said or what was left. Bounded, escaped, no secrets.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// For a gap: the investigator's question that stays open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub question: Option<String>,
    /// For a denied gap: the IAM action that would close it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub action: Option<String>,
}
