//! Vouching: a person signs a statement with the AWS credentials that they already have, and AWS says who it was.
//!
//! The voucher is a `sts:GetCallerIdentity` request that the approver has signed and not sent, with the statement's SHA-256 among the signed
//! headers. Whoever holds it sends it to STS; STS checks the signature and answers with the signer's ARN. Nobody can move the signature to
//! another statement, nobody needs a key of ours, and STS refuses it 15 minutes after it was signed. (The way in which HashiCorp Vault's IAM
//! login and Amazon EKS tokens prove an identity; SigV4 requests are accepted for 15 minutes.)
//!
//! A voucher may hold the approver's session token, which is worth nothing without the secret key, and is kept out of every log, report and
//! bundle all the same. What is sent is built here from known parts; of the file only header values are taken, never an address.

use super::connect::{ConnectError, Connector, Identity};
use super::fault::{Fault, tame};
use super::raw::RawCall;
use super::record::{HeadRecorder, UnitScope};
use super::{tape, xml};
use crate::model::call::{Call, Service};
use crate::model::digest::Sha256;
use crate::model::item::Group;
use crate::model::regions;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// SigV4: older requests are refused by STS, whatever we think.
pub const LIFETIME_MINUTES: i64 = 15;

static CALLS: &[Call] = &[Call::free(Service::Sts, "GetCallerIdentity")];
const STATEMENT: &str = "x-freezeframe-statement";

/// Who signed, provable to STS for a quarter of an hour.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// Where STS is to be asked.
    region: String,
    authorization: String,
    date: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    security_token: Option<String>,
}

impl fmt::Debug for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Voucher(signed {})", tame(&self.date, 20))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    #[error("could not sign the statement")]
    Sign(#[source] ConnectError),
    #[error("the voucher is not of the form that STS is asked in: {0}")]
    Form(&'static str),
    #[error("STS does not accept the voucher: it was signed over something else, by credentials that are no longer good, or too long ago")]
    Refused(#[source] Fault),
    #[error("could not ask STS who signed the voucher")]
    Ask(#[source] Fault),
}

/// The one request there is: the statement's digest goes into a signed header.
fn request(statement: Sha256) -> RawCall {
    RawCall::query(Service::Sts, "GetCallerIdentity", "2011-06-15", &[]).with_header(STATEMENT, statement.to_string())
}

impl Connector {
    /// Sign the statement with these credentials. Sends nothing.
    pub async fn vouch(&self, statement: Sha256) -> Result<Voucher, VouchError> {
        let aws = self.unit(UnitScope { unit: "approval", group: Group::Plan }, CALLS, Arc::new(HeadRecorder::default()));
        let mut signed = aws.signed_headers(&request(statement)).await.map_err(|e| {
            let source = Fault::of(&e, &[]);
            VouchError::Sign(ConnectError::NoCredentials { source })
        })?;
        let mut take = |name: &str| signed.iter().position(|(k, _)| k.eq_ignore_ascii_case(name)).map(|i| signed.swap_remove(i).1);
        Ok(Voucher {
            region: self.region().to_string(),
            authorization: take("authorization").ok_or(VouchError::Form("the signature has no Authorization header"))?,
            date: take("x-amz-date").ok_or(VouchError::Form("the signature has no date"))?,
            security_token: take("x-amz-security-token"),
        })
    }

    /// Ask STS who signed this statement. The credentials of this connector are not used.
    pub async fn who_vouched(&self, voucher: &Voucher, statement: Sha256) -> Result<Identity, VouchError> {
        if !regions::well_formed(&voucher.region) {
            return Err(VouchError::Form("its Region is none"));
        }
        // Were the statement's header not signed, any digest could be put there.
        let signed = voucher.authorization.split("SignedHeaders=").nth(1).and_then(|r| r.split(',').next()).unwrap_or_default();
        if !signed.split(';').any(|h| h == STATEMENT) || !voucher.authorization.starts_with("AWS4-HMAC-SHA256 ") {
            return Err(VouchError::Form("its signature does not cover the statement"));
        }
        let printable = |s: &str| s.len() <= 8_192 && s.bytes().all(|b| (0x20..0x7f).contains(&b));
        let mut headers = vec![("authorization", voucher.authorization.clone()), ("x-amz-date", voucher.date.clone())];
        headers.extend(voucher.security_token.clone().map(|t| ("x-amz-security-token", t)));
        if !headers.iter().all(|(_, v)| printable(v)) {
            return Err(VouchError::Form("a header holds what no header holds"));
        }
        let aws = self.in_region(&voucher.region).unit(
            UnitScope { unit: "approval", group: Group::Plan },
            CALLS,
            Arc::new(HeadRecorder::default()),
        );
        let (answer, exchanges) = tape::listen(Default::default(), aws.raw(request(statement).signed_by_another(headers))).await;
        let body = answer.map_err(|e| {
            let fault = Fault::of(&e, &exchanges);
            if fault.status.is_some_and(|s| (400..500).contains(&s)) { VouchError::Refused(fault) } else { VouchError::Ask(fault) }
        })?;
        let member = |name| xml::first(&body, name).map(|text| tame(&text, 300)).filter(|t| !t.is_empty());
        let (Some(arn), Some(account)) = (member("Arn"), member("Account")) else {
            return Err(VouchError::Form("STS answered without an ARN"));
        };
        let partition = arn.split(':').nth(1).filter(|p| !p.is_empty()).unwrap_or("aws").to_string();
        Ok(Identity { account, arn, partition })
    }
}
