//! An error and what caused it. Messages of libraries hide the reason in the chain.

use std::error::Error;

/// The error, what caused it, and so on to the root.
pub fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let now = next?;
        next = now.source();
        Some(now)
    })
}

/// All of that in one text, each message once: some errors repeat the message of their cause. Unbounded, and as it came: whoever shows it to a
/// person tames it.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut told: Vec<String> = causes(error).map(ToString::to_string).collect();
    told.dedup();
    told.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum E {
        #[error("could not read the case")]
        Outer(#[source] Box<E>),
        #[error("no space left")]
        Inner,
    }

    #[test]
    fn the_reason_is_told_and_once() {
        assert_eq!(with_causes(&E::Outer(Box::new(E::Inner))), "could not read the case: no space left");
        assert_eq!(with_causes(&E::Outer(Box::new(E::Outer(Box::new(E::Inner))))), "could not read the case: no space left");
        assert_eq!(causes(&E::Outer(Box::new(E::Inner))).count(), 2);
    }
}
