//! A KMS key, named by its ARN. An alias is not enough: it can be pointed at another key, and IAM grants nothing on it.

use super::regions;

/// `arn:aws:kms:<region>:<account>:key/<id>`. It goes into addresses, IAM policies and texts, so it holds nothing that means anything there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    arn: String,
    region: String,
}

impl KmsKey {
    pub fn parse(text: &str) -> Option<KmsKey> {
        let parts: Vec<&str> = text.split(':').collect();
        let [arn, partition, service, region, account, key] = parts[..] else { return None };
        let partition_ok = partition.starts_with("aws") && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let account_ok = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let id = key.strip_prefix("key/")?;
        let id_ok = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let ok = arn == "arn" && partition_ok && service == "kms" && regions::well_formed(region) && account_ok && id_ok;
        ok.then(|| KmsKey { arn: text.into(), region: region.into() })
    }

    pub fn arn(&self) -> &str {
        &self.arn
    }
    pub fn region(&self) -> &str {
        &self.region
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_by_its_arn_and_nothing_else() {
        let key = KmsKey::parse("arn:aws:kms:eu-west-1:123456789012:key/mrk-0a1b2c3d").unwrap();
        assert_eq!((key.region(), key.arn().len()), ("eu-west-1", 51));
        for bad in [
            "",
            "alias/seal",
            "arn:aws:kms:eu-west-1:123456789012:alias/seal",
            "arn:aws:kms:eu-west-1:12345678901:key/a",
            "arn:aws:kms:eu-west-1:123456789012:key/",
            "arn:aws:kms:eu-west-1:123456789012:key/a b",
            "arn:aws:kms:eu-west-1:123456789012:key/*",
            "arn:aws:kms:x/y:123456789012:key/a",
            "arn:aws:s3:eu-west-1:123456789012:key/a",
            "arn:aws:kms:eu-west-1:123456789012:key/a:b",
        ] {
            assert_eq!(KmsKey::parse(bad), None, "{bad}");
        }
    }
}
