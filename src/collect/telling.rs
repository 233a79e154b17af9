//! How far a long reading is, for whoever waits. One line at a time, never a secret, never evidence.

use std::sync::Arc;

/// Where such lines go. Silent by default.
#[derive(Clone)]
pub struct Telling(Arc<dyn Fn(&str) + Send + Sync>);

impl Telling {
    pub fn new(to: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Telling(Arc::new(to))
    }
    pub(super) fn say(&self, line: &str) {
        (self.0)(line);
    }
}

impl Default for Telling {
    fn default() -> Self {
        Telling::new(|_| {})
    }
}
