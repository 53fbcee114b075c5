//! How much a plugin's workers must be confined, at least.

use std::fmt;

use serde::Deserialize;

/// A level of isolation; each demands all that the ones before it demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// None at all: for debugging alone, and never a plugin's own wish.
    Off,
    /// System call filter, no new privileges, limits, no capabilities, no foreign descriptors; namespaces and Landlock as far as the kernel gives them.
    Standard,
    /// Besides: Landlock and user, mount, pid and network namespaces, whole.
    Strict,
}

impl Isolation {
    /// The word in manifest and config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Isolation::Off => "off",
            Isolation::Standard => "standard",
            Isolation::Strict => "strict",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
