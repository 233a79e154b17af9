//! What the incident is made of, by name. One place, so that a test, a document and the seeder cannot disagree.

pub const FUNCTION: &str = "payments-export";
/// Runs under the same role, so that a quarantine of the whole role would break it.
pub const NEIGHBOUR: &str = "payments-report";
pub const ALIAS: &str = "live";
/// The published version with the extra code; its neighbours and `$LATEST` are clean.
pub const BAD_VERSION: &str = "2";
pub const MAIN_VERSION: &str = "3";
/// Share of the alias' calls that reach the bad version.
pub const BAD_WEIGHT: f64 = 0.1;
pub const LAYER: &str = "payments-common";

pub const ROLE: &str = "payments-export-role";
pub const ROLE_PATH: &str = "/service-role/";
pub const INLINE_POLICY: &str = "export-write";
pub const LOGS_POLICY: &str = "payments-export-logs";
/// Its default version allows everything on S3.
pub const BROAD_POLICY: &str = "payments-export-data";

pub const PUBLIC_STATEMENT: &str = "FunctionURLAllowPublicAccess";
/// Only on the alias, which has a policy of its own.
pub const ALIAS_STATEMENT: &str = "AllowLedgerRule";
pub const QUEUE: &str = "payments-export-queue";
pub const RULE: &str = "payments-ledger-closed";
pub const EVENT_SOURCE: &str = "payments.ledger";

pub const LOG_GROUP: &str = "/aws/lambda/payments-export";
pub const OBJECT_KEY: &str = "exports/2026/settled.csv";
/// What only a holder of the role's credentials may read.
pub const OBJECT_BODY: &str = "id;amount;currency\np-1001;4200;EUR\np-1002;1350;EUR\np-1003;99900;USD\n";

/// Environment variables of the suspect that hold a (published example, hence worthless) key. They must never reach a
/// terminal, a log or a report.
pub const SECRET_VARIABLES: &[(&str, &str)] = &[
    ("LEDGER_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("LEDGER_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("DATABASE_URL", "postgres://exporter:drill-database-password@ledger.internal:5432/payments"),
];
/// Part of every session token in the seeded CloudTrail events: where it turns up, a redaction was forgotten.
pub const TOKEN_MARKER: &str = "DrillIssuedSessionToken";

/// Where the thief calls from (a documentation address), and the user whose leaked key opened the door.
pub const THIEF_ADDRESS: &str = "203.0.113.77";
pub const LEAKED_USER: &str = "build-bot";
pub const LEAKED_KEY_ID: &str = "AKIADRILLBUILDBOT001";
/// The suspect's session key that the thief used from outside, in the seeded history.
pub const STOLEN_KEY_ID: &str = "ASIADRILLSTOLEN00001";
