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

/// Which Regions a step asks: the one grammar for every parameter and option that names some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The target's own.
    Own,
    /// The target's own and its partition's global one.
    Home,
    /// Those two and every Region that the account has enabled.
    All,
    These(Vec<String>),
}

impl Choice {
    /// `own`, `home`, `all`, or names with commas or blanks between.
    pub fn parse(text: &str) -> Option<Choice> {
        match text.trim() {
            "own" => Some(Choice::Own),
            "home" => Some(Choice::Home),
            "all" => Some(Choice::All),
            text => {
                let names: Vec<String> = text.split([',', ' ']).map(str::trim).filter(|n| !n.is_empty()).map(str::to_string).collect();
                (!names.is_empty() && names.len() <= 64 && names.iter().all(|n| well_formed(n))).then_some(Choice::These(names))
            }
        }
    }

    /// The Regions for a target, none twice; the global one first, because most that is stolen is tried there first. `enabled` are those of
    /// the account, for `all`; where they are not known, those that every account has.
    pub fn of(&self, target: &Target, enabled: Option<&[String]>) -> Vec<String> {
        let home = [global(&target.partition, &target.region), &target.region].map(str::to_string);
        let named: Vec<String> = match (self, enabled) {
            (Choice::Own, _) => vec![target.region.clone()],
            (Choice::Home, _) => home.to_vec(),
            (Choice::All, Some(enabled)) => home.into_iter().chain(enabled.iter().cloned()).collect(),
            (Choice::All, None) if target.partition == "aws" => home.into_iter().chain(BY_DEFAULT.map(str::to_string)).collect(),
            (Choice::All, None) => home.to_vec(),
            (Choice::These(names), _) => names.clone(),
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

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Choice::Own => f.write_str("own"),
            Choice::Home => f.write_str("home"),
            Choice::All => f.write_str("all"),
            Choice::These(names) => f.write_str(&names.join(",")),
        }
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
        let of = |text: &str, partition: &str, region: &str| Choice::parse(text).unwrap().of(&target(partition, region), None);
        assert_eq!(of("own", "aws", "eu-west-1"), ["eu-west-1"]);
        assert_eq!(of("home", "aws", "eu-west-1"), ["us-east-1", "eu-west-1"]);
        assert_eq!(of("home", "aws", "us-east-1"), ["us-east-1"]);
        assert_eq!(of("all", "aws", "eu-west-1").len(), 17);
        assert_eq!(of("all", "aws-cn", "cn-northwest-1"), ["cn-north-1", "cn-northwest-1"]);
        assert_eq!(of("eu-west-1, eu-west-1 sa-east-1", "aws", "eu-west-1"), ["eu-west-1", "sa-east-1"]);
        let enabled = ["af-south-1", "us-east-1", "eu-west-1"].map(str::to_string);
        let told = |text: &str| Choice::parse(text).unwrap().of(&target("aws", "eu-west-1"), Some(&enabled));
        assert_eq!(told("all"), ["us-east-1", "eu-west-1", "af-south-1"], "what the account has enabled, and nothing it has not");
        assert_eq!(told("sa-east-1"), ["sa-east-1"], "who names a Region means it");
        for text in ["own", "home", "all", "eu-west-1,sa-east-1"] {
            assert_eq!(Choice::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", ",", "everywhere", "Own", "own,eu-west-1", "eu-west-1.evil.example", "eu-west-1/", "-a-", "EU-WEST-1"] {
            assert_eq!(Choice::parse(bad), None, "{bad}");
        }
    }
}
