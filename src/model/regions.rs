//! Regions: which there are by default, where a partition keeps the events of its global services, and how a playbook names several.

use super::target::Target;

/// Regions that are enabled in every account of the commercial partition (AWS General Reference, "Regions"). What an account has opted into
/// is not among them.
pub const BY_DEFAULT: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "sa-east-1",
];

/// Where CloudTrail keeps the events of IAM, which is global in its partition. A partition that we do not know is asked in the function's own
/// Region.
/// DOUBT(aws): all but `aws` are taken from IAM's endpoints, not seen live.
pub fn global<'r>(partition: &str, own: &'r str) -> &'r str {
    match partition {
        "aws" => "us-east-1",
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-eusc" => "eusc-de-east-1",
        _ => own,
    }
}

/// Whether a text has the form of a Region's name: it goes into host names.
pub fn well_formed(name: &str) -> bool {
    let bytes = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    bytes && name.contains('-') && (5..=32).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

/// Which Regions a step asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The target's own and its partition's global one.
    Home,
    /// Those two and all that are enabled by default.
    All,
    These(Vec<String>),
}

impl Choice {
    /// `home`, `all`, or names with commas or blanks between.
    pub fn parse(text: &str) -> Option<Choice> {
        match text.trim() {
            "home" => Some(Choice::Home),
            "all" => Some(Choice::All),
            text => {
                let names: Vec<String> = text.split([',', ' ']).map(str::trim).filter(|n| !n.is_empty()).map(str::to_string).collect();
                (!names.is_empty() && names.len() <= 64 && names.iter().all(|n| well_formed(n))).then_some(Choice::These(names))
            }
        }
    }

    /// The Regions for a target, none twice; the global one first, because most that is stolen is tried there first.
    pub fn of(&self, target: &Target) -> Vec<String> {
        let home = [global(&target.partition, &target.region), &target.region].map(str::to_string);
        let named: Vec<String> = match self {
            Choice::Home => home.to_vec(),
            Choice::All if target.partition == "aws" => home.into_iter().chain(BY_DEFAULT.map(str::to_string)).collect(),
            Choice::All => home.to_vec(),
            Choice::These(names) => names.clone(),
        };
        let mut regions: Vec<String> = vec![];
        for name in named {
            if !regions.contains(&name) {
                regions.push(name);
            }
        }
        regions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(partition: &str, region: &str) -> Target {
        Target { partition: partition.into(), account: "123456789012".into(), region: region.into(), function: "f".into(), qualifier: None }
    }

    #[test]
    fn iam_events_lie_in_one_region_of_a_partition() {
        assert_eq!(global("aws", "eu-west-1"), "us-east-1");
        assert_eq!(global("aws-us-gov", "us-gov-east-1"), "us-gov-west-1");
        assert_eq!(global("aws-new", "new-north-1"), "new-north-1");
    }

    #[test]
    fn choices() {
        assert_eq!(Choice::parse("home").unwrap().of(&target("aws", "eu-west-1")), ["us-east-1", "eu-west-1"]);
        assert_eq!(Choice::Home.of(&target("aws", "us-east-1")), ["us-east-1"]);
        assert_eq!(Choice::parse("all").unwrap().of(&target("aws", "eu-west-1")).len(), 17);
        assert_eq!(Choice::All.of(&target("aws-cn", "cn-northwest-1")), ["cn-north-1", "cn-northwest-1"]);
        assert_eq!(Choice::parse("eu-west-1, eu-west-1 sa-east-1").unwrap().of(&target("aws", "eu-west-1")), ["eu-west-1", "sa-east-1"]);
        for bad in ["", ",", "everywhere", "eu-west-1.evil.example", "eu-west-1/", "-a-", "EU-WEST-1"] {
            assert_eq!(Choice::parse(bad), None, "{bad}");
        }
    }
}
