//! One word for an operator, and why.

/// How a plugin fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// All is well.
    Healthy,
    /// It serves, and somebody should look.
    Warning,
    /// It does not serve.
    Critical,
    /// It is too early, or too late, to say.
    Unknown,
}

impl Health {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Warning => "warning",
            Health::Critical => "critical",
            Health::Unknown => "unknown",
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signs<'a> {
    /// Why it takes no turns.
    pub down: Option<&'a str>,
    /// Why it was suspended without anybody asking.
    pub suspended_for: Option<&'a str>,
    /// Whether a worker serves.
    pub serves: bool,
    /// Workers that serve, and how many are wanted.
    pub replicas: (usize, usize),
    /// Why the last replica did not come up.
    pub replica_trouble: Option<&'a str>,
    /// Whether it should.
    pub should_serve: bool,
    /// The breaker's word.
    pub breaker: &'a str,
    /// Its own deaths of late.
    pub deaths: usize,
    /// Sessions that are set aside.
    pub held: usize,
    /// Whether its snapshots cannot be relied on.
    pub snapshots_distrusted: bool,
    /// Whether a replay answered differently.
    pub diverges: bool,
    /// Why its last standby did not come up.
    pub standby_trouble: Option<&'a str>,
    /// What is to be said of what its workers use; empty when nothing is.
    pub usage: &'a str,
}

/// The word, and why. The worst sign speaks.
pub fn health(signs: &Signs<'_>) -> (Health, String) {
    if let Some(reason) = signs.down {
        return (Health::Critical, reason.to_owned());
    }
    if let Some(reason) = signs.suspended_for {
        return (
            Health::Critical,
            format!("suspended: {reason}; look at its events, then `croupier resume` it"),
        );
    }
    if !signs.should_serve {
        return (Health::Unknown, "it is not running".to_owned());
    }
    if !signs.serves {
        return (Health::Critical, "no worker serves at the moment".to_owned());
    }
    let mut why = Vec::new();
    let (serve, wanted) = signs.replicas;
    if serve < wanted {
        let trouble = signs.replica_trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
        why.push(format!("{serve} of {wanted} replicas serve{trouble}"));
    }
    if matches!(signs.breaker, "open" | "half-open") {
        why.push(format!("its breaker is {}: too many turns failed", signs.breaker));
    }
    if signs.deaths > 0 {
        why.push(format!("its workers died {} times of late by its own fault", signs.deaths));
    }
    if signs.held > 0 {
        why.push(format!("{} sessions are held", signs.held));
    }
    if signs.snapshots_distrusted {
        why.push("its snapshots cannot be restored".to_owned());
    }
    if signs.diverges {
        why.push("a replay answered differently, so every turn takes a snapshot".to_owned());
    }
    if let Some(trouble) = signs.standby_trouble {
        why.push(format!("its standbys do not come up: {trouble}"));
    }
    if !signs.usage.is_empty() {
        why.push(signs.usage.to_owned());
    }
    if why.is_empty() { (Health::Healthy, String::new()) } else { (Health::Warning, why.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_sign_speaks() {
        let well = Signs { serves: true, should_serve: true, breaker: "closed", ..Signs::default() };
        assert_eq!(health(&well), (Health::Healthy, String::new()));
        let (word, why) = health(&Signs { held: 2, deaths: 1, ..well });
        assert_eq!(
            (word, why.as_str()),
            (Health::Warning, "its workers died 1 times of late by its own fault; 2 sessions are held")
        );
        assert_eq!(health(&Signs { breaker: "open", ..well }).0, Health::Warning);
        assert_eq!(health(&Signs { serves: false, ..well }).0, Health::Critical);
        assert_eq!(
            health(&Signs { down: Some("quarantined"), ..well }),
            (Health::Critical, "quarantined".to_owned())
        );
        let (word, why) = health(&Signs { suspended_for: Some("it broke its bounds"), ..well });
        assert!(word == Health::Critical && why.contains("it broke its bounds"), "{why}");
        let (word, why) = health(&Signs { usage: "worker 7 uses much", ..well });
        assert_eq!((word, why.as_str()), (Health::Warning, "worker 7 uses much"));
        assert_eq!(health(&Signs { should_serve: false, ..well }).0, Health::Unknown);
    }
}
