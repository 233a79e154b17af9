//! How a command ended, and the exit code that says so. One table for the CLI, the handler and the documentation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Complete,
    Failed,
    Usage,
    Gaps,
    VerificationFailed,
    PartlyContained,
    Unwound,
    Stuck,
    Refused,
    Interrupted,
}

impl Outcome {
    pub const ALL: [Outcome; 10] = [
        Outcome::Complete,
        Outcome::Failed,
        Outcome::Usage,
        Outcome::Gaps,
        Outcome::VerificationFailed,
        Outcome::PartlyContained,
        Outcome::Unwound,
        Outcome::Stuck,
        Outcome::Refused,
        Outcome::Interrupted,
    ];

    pub const fn exit_code(self) -> u8 {
        match self {
            Outcome::Complete => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Gaps => 3,
            Outcome::VerificationFailed => 4,
            Outcome::PartlyContained => 5,
            Outcome::Unwound => 6,
            Outcome::Stuck => 7,
            Outcome::Refused => 8,
            Outcome::Interrupted => 130,
        }
    }

    pub const fn sentence(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Failed => "could not do what was asked",
            Outcome::Usage => "the command line or the playbook is invalid; nothing was done",
            Outcome::Gaps => "finished, with gaps",
            Outcome::VerificationFailed => "the bundle is not what it claims to be, or is unfinished",
            Outcome::PartlyContained => "partly contained; what holds was kept",
            Outcome::Unwound => "containment failed and was unwound",
            Outcome::Stuck => "stuck, or the world has drifted: a person is needed",
            Outcome::Refused => "refused by a guardrail, or not confirmed",
            Outcome::Interrupted => "interrupted, after draining and recording",
        }
    }

    /// What matters more when two things happened in one run: a person must hear of the worse one.
    pub fn worse(self, other: Outcome) -> Outcome {
        const ORDER: [Outcome; 10] = [
            Outcome::Complete,
            Outcome::Gaps,
            Outcome::Interrupted,
            Outcome::Refused,
            Outcome::Usage,
            Outcome::Failed,
            Outcome::VerificationFailed,
            Outcome::Unwound,
            Outcome::PartlyContained,
            Outcome::Stuck,
        ];
        let rank = |o: Outcome| ORDER.iter().position(|x| *x == o).unwrap_or(ORDER.len());
        if rank(other) > rank(self) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn codes_are_unique_and_as_documented() {
        let codes: Vec<u8> = Outcome::ALL.iter().map(|o| o.exit_code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
        assert_eq!(Outcome::Gaps.worse(Outcome::Complete), Outcome::Gaps);
        assert_eq!(Outcome::Gaps.worse(Outcome::Stuck), Outcome::Stuck);
    }
}
