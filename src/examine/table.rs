//! The table: 49 techniques against Lambda functions that tools, advisories and incident reports describe, and where each leaves its mark. The
//! marks were read from those sources (Stratus Red Team, Pacu, HackTricks, Hacking the Cloud, pathfinding.cloud, TrailDiscover, Elastic's rules,
//! CloudGoat) and from AWS's API; ATT&CK ids are theirs where they give any.
//!
//! A technique lists everything that is *needed* to show it. Its `absence` says whether the technique is ruled out when all of that was asked for
//! and AWS answered that there is none; mostly it is not, and then the table says why. Nothing here looks into a body.

/// Where a mark would lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A collector's items.
    Collector(&'static str),
    /// Nothing in this build reads it, and why.
    NotYet(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// What would be seen there.
    pub mark: &'static str,
    pub source: Source,
}

/// What it means when everything needed was answered with "there is none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Ruled out, as things stood at collection; why it is conclusive.
    Conclusive(&'static str),
    /// Not ruled out, and why not.
    Open(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Technique {
    pub number: u8,
    pub title: &'static str,
    pub attack: &'static [&'static str],
    pub needs: &'static [Need],
    pub absence: Absence,
}

/// Collectors that the table names and this build does not have. A line here that is not true any more fails a test.
pub const COMING: &[&str] = &[];

const fn at(collector: &'static str, mark: &'static str) -> Need {
    Need { mark, source: Source::Collector(collector) }
}
const fn later(mark: &'static str, why: &'static str) -> Need {
    Need { mark, source: Source::NotYet(why) }
}

const CHANGE: Need = at("control-plane-history", "the call that changed it, who made it, and when");
const CONFIG: Need = at("configuration", "the configuration now");
const LOGS: Need = at("recent-invocations", "START, END, REPORT and INIT lines, and what the function logged");
const CODE: Need = at("function-code", "the package of $LATEST");
const ROLE: Need = at("execution-role", "trust, boundary, inline and attached policies with all versions");
const KEYS: Need = at("credential-activity", "what each issued key did, from where, with which agent");
const GUARDDUTY: Need = at("guardduty-findings", "a finding about the function, where GuardDuty watched it");

const FROM_THE_BUCKET: &str = "data events are read only from a trail's bucket that the operator names (`trail-archive`), and this table does not look whether that bucket has them";

const PAST: Absence = Absence::Open("CloudTrail keeps ninety days of management events: what is older, or undone by now, is not there");
const DATA: Absence = Absence::Open("data events are recorded only where a trail selects them: without them silence means nothing");
const READ: Absence = Absence::Open("what is there must be read; that nothing is there decides nothing");

macro_rules! technique {
    ($number:literal, $title:literal, [$($attack:literal),*], [$($need:expr),+ $(,)?], $absence:expr) => {
        Technique { number: $number, title: $title, attack: &[$($attack),*], needs: &[$($need),+], absence: $absence }
    };
}

pub static TECHNIQUES: &[Technique] = &[
    technique!(1, "Code overwritten", ["T1648", "T1578.005", "T1098"], [CODE, CONFIG, CHANGE], PAST),
    technique!(2, "New function with a strong role", ["T1648", "T1098.003"], [CODE, ROLE, CHANGE], PAST),
    technique!(
        3,
        "Bad version published, $LATEST restored",
        ["T1546", "T1036"],
        [at("versions", "the list of versions with their hashes"), at("version-code", "the package of each version")],
        READ
    ),
    technique!(
        4,
        "Weighted alias to a bad version",
        ["T1546"],
        [at("aliases", "routing weights of every alias")],
        Absence::Conclusive("the function has no alias, so no traffic is weighted to a version")
    ),
    technique!(
        5,
        "API Gateway method on a version's ARN",
        ["T1546", "T1190"],
        [at("api-gateways", "integrations and the qualifier that they name"), at("resource-policy", "the policy of each qualifier")],
        Absence::Open("a gateway of another account is not seen from here")
    ),
    technique!(
        6,
        "Grant on one version or alias only",
        ["T1546"],
        [
            at("resource-policy", "the policy of each alias and version"),
            at("resource-policy-document", "the same, as the newer call shows it")
        ],
        Absence::Conclusive("neither the function nor any alias or version has a resource policy")
    ),
    technique!(
        7,
        "Grant to another account or to everybody",
        ["T1546", "T1098"],
        [
            at("resource-policy", "the statements of every resource policy"),
            at("resource-policy-document", "the same, as the newer call shows them")
        ],
        Absence::Conclusive("neither the function nor any alias or version has a resource policy")
    ),
    technique!(
        8,
        "Function URL without authorisation",
        ["T1133", "T1546"],
        [
            at("function-urls", "every URL with its authorisation"),
            at("resource-policy", "the statements that a URL needs"),
            at("resource-policy-document", "the same, as the newer call shows them")
        ],
        Absence::Conclusive("no qualifier has a function URL, and none has a resource policy")
    ),
    technique!(
        9,
        "Code execution by environment variables",
        ["T1574", "T1059"],
        [CONFIG, at("qualified-configuration", "the environment of each version")],
        READ
    ),
    technique!(10, "Exec wrapper and layer", ["T1574"], [CONFIG, at("layers", "the file that the wrapper names")], READ),
    technique!(
        11,
        "Layer that shadows a library",
        ["T1574", "T1195"],
        [at("layers", "the content of every layer, in order")],
        Absence::Conclusive("no configuration, of $LATEST or of a version, names a layer")
    ),
    technique!(
        12,
        "Layer of another account",
        ["T1195", "T1574"],
        [at("layers", "the owner of every layer, and its content or the refusal")],
        Absence::Conclusive("no configuration, of $LATEST or of a version, names a layer")
    ),
    technique!(
        13,
        "Malicious extension, proxy of the runtime API",
        ["T1557", "T1546", "T1552"],
        [at("layers", "entries below extensions/"), CODE, LOGS],
        READ
    ),
    technique!(
        14,
        "Runtime swapped in a warm environment",
        ["T1059", "T1620"],
        [LOGS, GUARDDUTY, later("the memory of the environment", "AWS offers no way to read an environment's memory or /tmp"),],
        Absence::Open("it leaves no trace in the control plane, and a restart destroys the rest")
    ),
    technique!(
        15,
        "Credentials taken from the environment or the runtime API",
        ["T1552", "T1528"],
        [KEYS],
        Absence::Open("the theft leaves no trace; only use of the keys does, and only where CloudTrail records it")
    ),
    technique!(
        16,
        "Input injected into a vulnerable handler",
        ["T1190"],
        [LOGS, CODE],
        Absence::Open("what a handler does not log, and a queue has handed over, is gone")
    ),
    technique!(17, "Handler redirected", ["T1574"], [CONFIG, CODE], READ),
    technique!(18, "Timeout or memory raised", ["T1578.005"], [CONFIG, CHANGE], PAST),
    technique!(
        19,
        "Runtime pinned or frozen",
        ["T1578.005", "T1562"],
        [
            at("runtime-management", "the update mode and the runtime's ARN"),
            at("customer-runtime", "a runtime of the customer's, its alias and its image"),
            LOGS,
        ],
        READ
    ),
    technique!(20, "Logs redirected or their level changed", ["T1562.008", "T1567"], [CONFIG, LOGS], READ),
    technique!(
        21,
        "VPC left for free egress",
        ["T1562.007"],
        [
            CONFIG,
            CHANGE,
            at("network-interfaces", "interfaces of Lambda's: they outlive the attachment by some minutes"),
            at("network-rules", "what the network that it is in lets out"),
            at("flow-logs", "whether its connections are recorded, and where")
        ],
        PAST
    ),
    technique!(
        22,
        "File system mounted",
        ["T1530"],
        [at("file-systems", "every mounted access point, its file system and who may mount that")],
        Absence::Conclusive("no configuration, of $LATEST or of a version, mounts a file system")
    ),
    technique!(
        23,
        "Code signing removed or set to warn",
        ["T1553"],
        [at("code-signing", "the signing configuration and the jobs"), CHANGE],
        Absence::Open("that no signing is set is just what the technique would leave")
    ),
    technique!(
        24,
        "Image replaced or tag moved",
        ["T1525"],
        [at("container-image", "the image of $LATEST and of every version by its digest, with its configuration and layers")],
        Absence::Conclusive("no configuration, of $LATEST or of a version, names an image")
    ),
    technique!(
        25,
        "Event source mapping made to fire the code",
        ["T1546", "T1648"],
        [at("event-source-mappings", "every mapping of the function and its qualifiers")],
        Absence::Conclusive("no mapping names the function, an alias or a version")
    ),
    technique!(
        26,
        "Event source mapping turned to another function",
        ["T1546", "T1565.002"],
        [at("account-mappings", "the account's mappings by source"), CHANGE],
        PAST
    ),
    technique!(
        27,
        "EventBridge rule as clock or tripwire",
        ["T1546", "T1098.001", "T1136.003"],
        [
            at("eventbridge-rules", "rules that have the function as target"),
            at("resource-policy", "statements for events.amazonaws.com"),
            at("resource-policy-document", "the same, as the newer call shows them")
        ],
        Absence::Conclusive("no rule has the function as target, and no resource policy would let one invoke it")
    ),
    technique!(
        28,
        "Another service as trigger",
        ["T1546", "T1556"],
        [
            at("schedules", "schedules that have the function as target"),
            at("pipes", "pipes that end in the function"),
            at("s3-notifications", "buckets that notify it"),
            at("sns-subscriptions", "topics that it is subscribed to"),
            at("log-subscriptions", "log groups that stream to it"),
            at("api-gateways", "gateways that call it"),
            at("event-subscribers", "subscribers of EventBridge v2 that call it"),
            at("alarm-actions", "alarms that call it"),
            at("named-sources", "user pools, rules and secrets that call it"),
            at("resource-policy", "every service that may invoke it"),
            at("resource-policy-document", "the same, where only the newer call shows it"),
        ],
        Absence::Open("a service with a role of its own needs no statement, and a trigger may lie in another account")
    ),
    technique!(
        29,
        "Loop by asynchronous destinations",
        ["T1546", "T1053"],
        [at("async-destinations", "destinations of every qualifier"), at("recursion", "whether loops are let run")],
        READ
    ),
    technique!(
        30,
        "Data led away by a destination or dead-letter queue",
        ["T1567", "T1537"],
        [CONFIG, at("async-destinations", "destinations of every qualifier"), at("delivery-targets", "who may read what is delivered")],
        READ
    ),
    technique!(
        31,
        "Invoked by the attacker",
        ["T1648"],
        [LOGS, at("trails", "whether a trail selects Invoke"), later("data events of Invoke", FROM_THE_BUCKET)],
        DATA
    ),
    technique!(32, "Role widened or its trust opened", ["T1098.003", "T1098.001"], [ROLE, CHANGE], PAST),
    technique!(33, "IAM used through the role for persistence", ["T1136.003", "T1098"], [KEYS], PAST),
    technique!(34, "Further roles taken from the function", ["T1550.001"], [KEYS], PAST),
    technique!(35, "Secrets and parameters read", ["T1555.006"], [KEYS, ROLE], PAST),
    technique!(
        36,
        "S3 data taken or destroyed by the role",
        ["T1530", "T1485"],
        [at("trails", "whether a trail selects S3 objects"), later("data events of S3", FROM_THE_BUCKET)],
        DATA
    ),
    technique!(37, "Functions searched for secrets", ["T1526", "T1552.001"], [CHANGE], PAST),
    technique!(
        38,
        "Layer shared or made public",
        ["T1537"],
        [at("layers", "the policy of every layer version")],
        Absence::Conclusive("no configuration, of $LATEST or of a version, names a layer")
    ),
    technique!(39, "Function deleted", ["T1485", "T1489"], [CHANGE, LOGS], PAST),
    technique!(
        40,
        "Logs deleted, retention cut, or logging denied to the role",
        ["T1562.008", "T1070"],
        [LOGS, ROLE, at("metrics", "invocations counted against those that were logged"), CHANGE],
        PAST
    ),
    technique!(
        41,
        "Trail stopped or its selectors changed",
        ["T1562.008"],
        [at("trails", "status and selectors of every trail")],
        Absence::Open("where there is no trail, nothing tells whether there was one")
    ),
    technique!(
        42,
        "Concurrency set to deny or to hide",
        ["T1489", "T1499"],
        [
            at("concurrency", "reserved concurrency"),
            at("capacity", "provisioned concurrency"),
            at("auto-scaling", "what sets provisioned concurrency by itself"),
            CHANGE
        ],
        PAST
    ),
    technique!(
        43,
        "Invoked en masse",
        ["T1496", "T1499"],
        [at("metrics", "invocations, duration and concurrency by the minute")],
        Absence::Open("metrics thin out with age, and a window has an end")
    ),
    technique!(
        44,
        "Crypto-mining",
        ["T1496"],
        [
            LOGS,
            at("metrics", "duration and invocations by the minute"),
            GUARDDUTY,
            at("flow-logs", "whether connections to a pool are recorded, and where"),
            at("name-resolution", "whether the names that were asked for are recorded, and where")
        ],
        READ
    ),
    technique!(
        45,
        "Environment's key swapped to lock responders out",
        ["T1486"],
        [CONFIG, at("function-key", "the key, its policy and grants")],
        READ
    ),
    technique!(
        46,
        "Lambda@Edge association",
        ["T1546"],
        [at("edge-associations", "distributions that run a version of the function, and where its copies log")],
        Absence::Open("a distribution of another account is not seen from here")
    ),
    technique!(
        47,
        "Durable execution stopped or answered by forgery",
        ["T1565.001"],
        [at("durable-executions", "every execution with its history")],
        Absence::Open("an execution can be deleted, and its history ends with its retention")
    ),
    technique!(
        48,
        "Capacity provider: code on the account's own instances",
        ["T1578"],
        [at("capacity", "capacity providers, scaling, neighbours on the instances"), CONFIG],
        READ
    ),
    technique!(
        49,
        "Account id learnt from a function URL",
        ["T1580"],
        [at("function-urls", "every URL with its authorisation")],
        Absence::Conclusive("no qualifier has a function URL")
    ),
];
