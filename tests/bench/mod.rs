//! Measurements. Nothing here is asserted against a clock: a benchmark is `#[ignore]`d, is run by name, and prints what it saw.
//!
//! They are modules of the one integration binary (a `[[bench]]` would be a further link of the whole SDK, and `cargo bench` would compile it
//! a second time under another profile), so they run as
//! `cargo test --test it -- --ignored --nocapture bench::delayed_wire`.

/// How long calls waited for each other, from the bundle's own exchange records.
pub mod chain;
/// A whole standard snapshot with 50 ms before each call, beside a sequential boto3 script and the AWS CLI.
mod delayed_wire;
/// More than 5 GiB through seal, zip, verify and archive: memory of each, and verify's pace beside `sha256sum`.
#[cfg(target_os = "linux")]
mod large;
/// Just enough of S3 to take an archive of any size.
#[cfg(target_os = "linux")]
pub mod sink;
/// Rows and columns for a terminal.
pub mod table;

use freezeframe::collect::COLLECTORS;

/// What A11 of the evidence inventory counts as configuration, policies and identity: what AWS keeps of the function, of its policies and of its role.
/// Left out of those groups is what A11 itself counts among the long poles, what searches account or organisation and not the function, and what
/// stands around the function, where one thing names the next (a subnet its routes, those a peering): A9, file systems, queues.
pub fn critical_to_a11(unit: &str) -> bool {
    let left_out = [
        // Polls a job of IAM's.
        "service-last-accessed",
        // Every function of the Region, page by page.
        "shared-role-census",
        // Up the tree of the organisation, one level after the other.
        "organization-policies",
        // Pages of what IAM computes.
        "role-simulation",
        // From the mount to the access point, the file system, and from there page by page to its mount targets.
        "file-systems",
        // From a queue to the queue that takes what it gives up.
        "delivery-targets",
    ];
    let groups = ["config", "policy", "identity"];
    !left_out.contains(&unit) && COLLECTORS.iter().any(|c| c.spec().id == unit && groups.contains(&c.spec().group.as_str()))
}
