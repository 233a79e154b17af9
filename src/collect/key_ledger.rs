//! The ledger of access keys: which were issued to a function, when each dies, from where each was used, and what it was used to obtain.
//! Pure: CloudTrail records in, rows out; what speaks for a thief is `key_signs.rs`. Records are strangers' text: what is not of the form is counted, what is too much is cut and
//! said, and no session token ever enters the table.

use crate::aws::fault::tame;
use crate::clock;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// More keys than this are no function's.
const KEYS: usize = 5_000;
/// Addresses, agents, Regions and kinds of events of one key.
const EACH: usize = 100;
/// Events remembered, so that what two searches find counts once; and those that handed something on.
const EVENTS: usize = 500_000;
const HANDED_ON: usize = 5_000;
/// CloudTrail's own limit for an event is 256 KB.
const RECORD: usize = 1 << 20;

/// Calls by which credentials beget credentials, or let somebody else in (`evidence-inventory.md` A8, step 5). Names carry version suffixes.
const BEGETS: [&str; 30] = [
    // Credentials.
    "AssumeRole",
    "AssumeRoot",
    "GetFederationToken",
    "GetSessionToken",
    "GetWebIdentityToken",
    "GetSigninToken",
    "ConsoleLogin",
    "CreateAccessKey",
    "UpdateAccessKey",
    "CreateLoginProfile",
    "UpdateLoginProfile",
    "CreateServiceSpecificCredential",
    "ResetServiceSpecificCredential",
    "UploadSigningCertificate",
    "UploadSSHPublicKey",
    "CreateToken",
    // Principals, and who may become them.
    "CreateUser",
    "AddUserToGroup",
    "CreateRole",
    "UpdateAssumeRolePolicy",
    "CreateTrustAnchor",
    "CreateSAMLProvider",
    "CreateOpenIDConnectProvider",
    "PassRole",
    // Doors for others.
    "CreateGrant",
    "AddPermission",
    "AddLayerVersionPermission",
    "PutResourcePolicy",
    "CreateFunctionUrlConfig",
    "PutKeyPolicy",
];

/// No session of STS lives longer (its API reference).
const LONGEST_SESSION: TimeDelta = TimeDelta::hours(12);

/// Whose keys these are.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    pub function: String,
    pub function_arn: String,
    pub role_arn: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub access_key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Where the event that issued it was not seen: it is dead by then, for no session lives longer than twelve hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at_latest: Option<String>,
    /// The name of the session: for Lambda's, the function's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Issued to the function of this case (a role may be shared).
    pub of_this_function: bool,
    /// How many hands the key is away from the function: 0 for its own.
    pub depth: u32,
    /// The key with which it was obtained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obtained_with: Option<String>,
    /// The event that issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_region: Option<String>,
    /// Function and version, as the records of its use say.
    pub issued_to_versions: BTreeSet<String>,
    pub uses: u64,
    pub refused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_use: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use: Option<String>,
    #[serde(rename = "sourceIPs")]
    pub source_ips: BTreeSet<String>,
    /// Addresses of calls whose agent was not Lambda's.
    #[serde(rename = "sourceIPsOutsideLambda")]
    pub ips_outside: BTreeSet<String>,
    pub user_agents: BTreeSet<String>,
    pub regions: BTreeSet<String>,
    /// With the account that each belongs to, where the record names it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub vpc_endpoints: BTreeSet<String>,
    /// Some call came through another account's VPC endpoint.
    #[serde(skip)]
    pub foreign_endpoint: bool,
    /// Addresses and Regions of calls whose agent was Lambda's.
    #[serde(skip)]
    pub inside: BTreeSet<String>,
    #[serde(skip)]
    pub regions_inside: BTreeSet<String>,
    /// When each call was made (seconds since 1970), and whether its agent was Lambda's.
    #[serde(skip)]
    pub calls: Vec<(i64, bool)>,
    pub events: BTreeMap<String, u64>,
    /// Whether all events of this key were searched for by its id, and not only those that other searches show.
    pub searched_by_id: bool,
    /// What speaks for its use by somebody else. Empty says nothing.
    pub signs: Vec<String>,
    /// Some of the lists were cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// A call that obtained credentials or let somebody in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HandedOn {
    pub event: String,
    pub time: Option<String>,
    pub region: String,
    pub name: String,
    pub with_key: String,
    pub error: Option<String>,
    /// What it was about, as the request names it.
    pub about: Option<String>,
    /// Who came of it, as the answer names it.
    pub principal: Option<String>,
    pub obtained_key: Option<String>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    whose: Whose,
    keys: BTreeMap<String, Key>,
    heard: HashSet<String>,
    pub handed_on: Vec<HandedOn>,
    /// Records that were no records.
    pub unreadable: u64,
    /// Keys, events and hand-overs that the bounds above left out.
    pub left_out: u64,
}

impl Ledger {
    pub fn new(whose: Whose) -> Self {
        Ledger { whose, keys: BTreeMap::new(), heard: HashSet::new(), handed_on: vec![], unreadable: 0, left_out: 0 }
    }

    /// The role: as it was known, or as the function's own sessions name it.
    pub fn role_arn(&self) -> Option<&str> {
        self.whose.role_arn.as_deref()
    }

    /// One record, found in `region`.
    pub fn hear(&mut self, region: &str, record: &str) {
        if record.len() > RECORD {
            self.unreadable += 1;
            return;
        }
        let Ok(record @ Value::Object(_)) = serde_json::from_str::<Value>(record) else {
            self.unreadable += 1;
            return;
        };
        let Some(id) = text(&record, "/eventID") else {
            self.unreadable += 1;
            return;
        };
        if self.heard.len() >= EVENTS {
            self.left_out += 1;
            return;
        }
        if self.heard.contains(&id) {
            return;
        }
        let region = text(&record, "/awsRegion").unwrap_or_else(|| tame(region, 40));
        let taken = match text(&record, "/userIdentity/accessKeyId") {
            Some(key) => self.used(&key, &id, &region, &record),
            None => self.issued(&id, &region, &record),
        };
        // What meant nothing yet may mean something when more is known, and is heard again then.
        if taken.is_some() {
            self.heard.insert(id);
        }
    }

    /// Lambda took the role for a function: a key was issued.
    fn issued(&mut self, id: &str, region: &str, record: &Value) -> Option<()> {
        let by_lambda = ["/userIdentity/invokedBy", "/sourceIPAddress"].iter().any(|p| str_of(record, p) == Some("lambda.amazonaws.com"));
        let assumed = str_of(record, "/eventName").is_some_and(|n| n.starts_with("AssumeRole"));
        let role = str_of(record, "/requestParameters/roleArn");
        if !by_lambda || !assumed || role.is_none() || role != self.whose.role_arn.as_deref() {
            return None;
        }
        let key = text(record, "/responseElements/credentials/accessKeyId")?;
        let session = text(record, "/requestParameters/roleSessionName");
        let own = session.as_deref() == Some(self.whose.function.as_str());
        let entry = self.entry(&key)?;
        entry.issued = time(record).map(clock::stamp);
        entry.expires = str_of(record, "/responseElements/credentials/expiration").and_then(expiration);
        entry.of_this_function |= own;
        entry.session = session;
        (entry.source_event, entry.source_region) = (Some(id.to_string()), Some(region.to_string()));
        Some(())
    }

    fn used(&mut self, key: &str, id: &str, region: &str, record: &Value) -> Option<()> {
        let own = self.is_own_session(record);
        if !own && !self.keys.contains_key(key) {
            return None;
        }
        if own && self.whose.role_arn.is_none() {
            self.whose.role_arn = text(record, "/userIdentity/sessionContext/sessionIssuer/arn");
        }
        let when = time(record);
        let at = when.map(clock::stamp);
        let error = text(record, "/errorCode");
        let name = text(record, "/eventName").unwrap_or_default();
        let account = self.whose.account().map(str::to_string);
        let entry = self.entry(key)?;
        entry.of_this_function |= own;
        if entry.issued.is_none() {
            // The session's beginning, as each of its records has it. The event that issued it says it better, if it turns up.
            let began = str_of(record, "/userIdentity/sessionContext/attributes/creationDate");
            entry.issued = began.and_then(|t| DateTime::parse_from_rfc3339(t).ok()).map(|t| clock::stamp(t.with_timezone(&Utc)));
        }
        entry.uses += 1;
        entry.refused += u64::from(error.is_some());
        // Stamps of one form, so their order as texts is their order in time.
        if let Some(at) = &at {
            let earlier = entry.first_use.as_ref().is_none_or(|f| at < f);
            let later = entry.last_use.as_ref().is_none_or(|l| at > l);
            entry.first_use = if earlier { Some(at.clone()) } else { entry.first_use.take() };
            entry.last_use = if later { Some(at.clone()) } else { entry.last_use.take() };
        }
        let agent = text(record, "/userAgent").unwrap_or_default();
        let address = text(record, "/sourceIPAddress").unwrap_or_default();
        // What an AWS service does on the session's behalf bears the service's name in place of address and agent.
        let by_service = address.ends_with(".amazonaws.com") || address == "AWS Internal";
        let lambda = agent.contains("AWS_Lambda_");
        let mut cut = false;
        if lambda {
            cut |= !note(&mut entry.inside, &address);
            cut |= !note(&mut entry.regions_inside, region);
        } else if !by_service {
            cut |= !note(&mut entry.ips_outside, &address);
        }
        if let Some(when) = when.filter(|_| !by_service) {
            entry.calls.push((when.timestamp(), lambda));
        }
        if let Some(endpoint) = text(record, "/vpcEndpointId") {
            let owner = text(record, "/vpcEndpointAccountId");
            entry.foreign_endpoint |= owner.is_some() && owner != account;
            cut |= !note(&mut entry.vpc_endpoints, &owner.map(|o| format!("{endpoint} of {o}")).unwrap_or(endpoint));
        }
        cut |= !note(&mut entry.source_ips, &address);
        cut |= !note(&mut entry.user_agents, &agent);
        cut |= !note(&mut entry.regions, region);
        if let Some(version) = text(record, "/userIdentity/inScopeOf/credentialsIssuedToVersion") {
            cut |= !note(&mut entry.issued_to_versions, &version);
        }
        let kind = format!("{}:{name}", text(record, "/eventSource").unwrap_or_default());
        if entry.events.len() < EACH || entry.events.contains_key(&kind) {
            *entry.events.entry(kind).or_default() += 1;
        } else {
            cut = true;
        }
        entry.cut |= cut;
        let depth = entry.depth;
        if BEGETS.iter().any(|b| name.starts_with(b)) {
            self.hand_on(
                HandedOn {
                    event: id.to_string(),
                    time: at,
                    region: region.to_string(),
                    name,
                    with_key: key.to_string(),
                    error,
                    about: ["roleArn", "userName", "roleName", "functionName", "keyId", "resourceArn", "layerName", "name"]
                        .iter()
                        .find_map(|m| text(record, &format!("/requestParameters/{m}"))),
                    principal: ["/assumedRoleUser/arn", "/federatedUser/arn", "/user/arn", "/role/arn", "/accessKey/userName"]
                        .iter()
                        .find_map(|m| text(record, &format!("/responseElements{m}"))),
                    obtained_key: ["/responseElements/credentials/accessKeyId", "/responseElements/accessKey/accessKeyId"]
                        .iter()
                        .find_map(|p| text(record, p)),
                },
                depth,
                record,
            );
        }
        Some(())
    }

    fn hand_on(&mut self, handed: HandedOn, depth: u32, record: &Value) {
        if self.handed_on.len() >= HANDED_ON {
            self.left_out += 1;
            return;
        }
        if let Some(new) = handed.obtained_key.clone().filter(|_| handed.error.is_none())
            && new != handed.with_key
            && let Some(entry) = self.entry(&new)
            && entry.source_event.is_none()
        {
            entry.issued.clone_from(&handed.time);
            entry.expires = str_of(record, "/responseElements/credentials/expiration").and_then(expiration);
            entry.session = text(record, "/requestParameters/roleSessionName");
            entry.depth = depth + 1;
            entry.obtained_with = Some(handed.with_key.clone());
            (entry.source_event, entry.source_region) = (Some(handed.event.clone()), Some(handed.region.clone()));
        }
        self.handed_on.push(handed);
    }

    /// A session that Lambda opened for this function. The name alone is no proof: anybody may call a session so.
    fn is_own_session(&self, record: &Value) -> bool {
        let scope = str_of(record, "/userIdentity/inScopeOf/credentialsIssuedTo");
        if scope.is_some() {
            return scope == Some(self.whose.function_arn.as_str());
        }
        let issuer = str_of(record, "/userIdentity/sessionContext/sessionIssuer/arn");
        let session = str_of(record, "/userIdentity/principalId").and_then(|p| p.split_once(':')).map(|(_, session)| session);
        issuer.is_some() && issuer == self.whose.role_arn.as_deref() && session == Some(self.whose.function.as_str())
    }

    fn entry(&mut self, key: &str) -> Option<&mut Key> {
        if self.keys.len() >= KEYS && !self.keys.contains_key(key) {
            self.left_out += 1;
            return None;
        }
        Some(self.keys.entry(key.to_string()).or_insert_with(|| Key { access_key_id: key.to_string(), ..Key::default() }))
    }

    /// Keys to search for one by one: the function's own and what they begot, nearest hand first, then suspect before unsuspected, then the
    /// newest. Keys that have been searched for are not among them.
    pub fn to_search(&self, max_depth: u32) -> Vec<String> {
        let mut all: Vec<&Key> = self.keys.values().filter(|k| self.follows(k) && k.depth <= max_depth && !k.searched_by_id).collect();
        let rank = |k: &Key| (k.depth, k.ips_outside.is_empty(), std::cmp::Reverse(k.issued.clone().or_else(|| k.last_use.clone())));
        all.sort_by_key(|k| rank(k));
        all.into_iter().map(|k| k.access_key_id.clone()).collect()
    }

    /// Keys that were obtained by hands further away than we follow.
    pub fn beyond(&self, max_depth: u32) -> usize {
        self.keys.values().filter(|k| k.depth > max_depth).count()
    }

    fn follows(&self, key: &Key) -> bool {
        // The key goes into a question: AWS takes word characters only.
        key.concerns_us() && key.access_key_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }

    pub fn searched(&mut self, key: &str) {
        if let Some(key) = self.keys.get_mut(key) {
            key.searched_by_id = true;
        }
    }

    /// The function's keys and those that they begot, so many hands far: every use of them is wanted.
    pub fn followed(&self, max_depth: u32) -> BTreeSet<String> {
        self.keys.values().filter(|k| self.follows(k) && k.depth <= max_depth).map(|k| k.access_key_id.clone()).collect()
    }

    /// All keys, newest first.
    pub fn rows(&self) -> Vec<Key> {
        let mut all: Vec<Key> = self.keys.values().cloned().collect();
        for key in &mut all {
            if key.expires.is_none() && !key.is_long_lived() {
                let since = key.issued.as_deref().or(key.first_use.as_deref()).and_then(|t| DateTime::parse_from_rfc3339(t).ok());
                let until = since.and_then(|t| t.with_timezone(&Utc).checked_add_signed(LONGEST_SESSION));
                key.expires_at_latest = until.map(clock::stamp);
            }
        }
        all.sort_by(|a, b| (&b.issued, &b.last_use, &a.access_key_id).cmp(&(&a.issued, &a.last_use, &b.access_key_id)));
        all
    }
}

impl Whose {
    /// From the function's ARN.
    pub fn account(&self) -> Option<&str> {
        self.function_arn.split(':').nth(4)
    }
}

impl Key {
    /// A user's key (`AKIA…`): it dies when somebody deletes it.
    pub fn is_long_lived(&self) -> bool {
        self.access_key_id.starts_with("AKIA")
    }
    /// Of this function, or obtained with such a key.
    pub fn concerns_us(&self) -> bool {
        self.of_this_function || self.depth > 0
    }
}

fn note(set: &mut BTreeSet<String>, value: &str) -> bool {
    if value.is_empty() || set.contains(value) {
        return true;
    }
    let room = set.len() < EACH;
    if room {
        set.insert(value.to_string());
    }
    room
}

fn str_of<'v>(record: &'v Value, pointer: &str) -> Option<&'v str> {
    record.pointer(pointer).and_then(Value::as_str)
}

fn text(record: &Value, pointer: &str) -> Option<String> {
    str_of(record, pointer).filter(|t| !t.is_empty()).map(|t| tame(t, 300))
}

fn time(record: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(str_of(record, "/eventTime")?).ok().map(|t| t.with_timezone(&Utc))
}

/// `Nov 21, 2026, 1:23:45 AM`: how CloudTrail prints a credential's end (newer Javas put a narrow no-break space before AM).
fn expiration(said: &str) -> Option<String> {
    let plain = said.replace(['\u{202f}', '\u{a0}'], " ");
    let parsed = NaiveDateTime::parse_from_str(&plain, "%b %d, %Y, %I:%M:%S %p").ok().map(|n| n.and_utc());
    parsed.or_else(|| DateTime::parse_from_rfc3339(&plain).ok().map(|t| t.with_timezone(&Utc))).map(clock::stamp)
}

#[cfg(test)]
#[path = "key_ledger_tests.rs"]
mod tests;
