//! Isolation as a value: what each layer of the jail really is around one worker, and whether that is enough.

use std::fmt;

use croupier_manifest::manifest::Isolation as Level;

/// How much of a layer there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// All of it.
    Enforced,
    /// Some of it; what is missing, and why.
    Partial(String),
    /// Nothing; why.
    Absent(String),
}

/// A layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Layer {
    Seccomp,
    NoNewPrivs,
    Capabilities,
    Rlimits,
    Descriptors,
    Environment,
    Landlock,
    UserNamespace,
    EmptyRoot,
    PidNamespace,
    NetNamespace,
    IpcNamespace,
    UtsNamespace,
    CgroupNamespace,
    OwnUser,
    Cgroup,
}

/// What a level demands of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Enforced,
    NotAbsent,
    Nothing,
}

impl Layer {
    /// All of them, the most important first.
    pub const ALL: [Layer; 16] = [
        Layer::Seccomp,
        Layer::NoNewPrivs,
        Layer::Capabilities,
        Layer::Rlimits,
        Layer::Descriptors,
        Layer::Environment,
        Layer::Landlock,
        Layer::UserNamespace,
        Layer::EmptyRoot,
        Layer::PidNamespace,
        Layer::NetNamespace,
        Layer::IpcNamespace,
        Layer::UtsNamespace,
        Layer::CgroupNamespace,
        Layer::OwnUser,
        Layer::Cgroup,
    ];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layer::Seccomp => "seccomp",
            Layer::NoNewPrivs => "no_new_privs",
            Layer::Capabilities => "capabilities",
            Layer::Rlimits => "rlimits",
            Layer::Descriptors => "descriptors",
            Layer::Environment => "environment",
            Layer::Landlock => "landlock",
            Layer::UserNamespace => "user namespace",
            Layer::EmptyRoot => "empty root",
            Layer::PidNamespace => "pid namespace",
            Layer::NetNamespace => "net namespace",
            Layer::IpcNamespace => "ipc namespace",
            Layer::UtsNamespace => "uts namespace",
            Layer::CgroupNamespace => "cgroup namespace",
            Layer::OwnUser => "own user",
            Layer::Cgroup => "cgroup",
        }
    }

    /// How to get it where it is missing.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Layer::Seccomp | Layer::NoNewPrivs => {
                "use Linux 5.14 or newer with CONFIG_SECCOMP_FILTER, on x86_64"
            }
            Layer::Capabilities
            | Layer::UserNamespace
            | Layer::EmptyRoot
            | Layer::PidNamespace
            | Layer::NetNamespace
            | Layer::IpcNamespace
            | Layer::UtsNamespace
            | Layer::CgroupNamespace => {
                "run the supervisor as root, or allow unprivileged user namespaces (user.max_user_namespaces, \
                 kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
            }
            Layer::Rlimits => {
                "run the supervisor as root, allow unprivileged user namespaces, or delegate a cgroup with the controller pids to it"
            }
            Layer::Descriptors | Layer::Environment => {
                "mount /proc without hidepid for the supervisor, so that it can look"
            }
            Layer::Landlock => {
                "use Linux 6.12 or newer, booted with landlock in the list of security modules (lsm=)"
            }
            Layer::OwnUser => "run the supervisor as root",
            Layer::Cgroup => {
                "run the supervisor under systemd with Delegate=yes, or name a cgroup v2 directory with the controllers memory, pids and cpu with `cgroup` in the config"
            }
        }
    }

    fn demand(self, level: Level) -> Demand {
        use Layer::{
            Capabilities, Descriptors, EmptyRoot, Environment, Landlock, NetNamespace, NoNewPrivs,
            PidNamespace, Rlimits, Seccomp, UserNamespace,
        };
        match (level, self) {
            (Level::Off, _) => Demand::Nothing,
            (_, Seccomp | NoNewPrivs | Rlimits | Descriptors | Environment) => Demand::Enforced,
            // Without a user namespace the bounding set can stay; no_new_privs makes it worthless.
            (Level::Standard, Capabilities) => Demand::NotAbsent,
            (
                Level::Strict,
                Capabilities | Landlock | UserNamespace | EmptyRoot | PidNamespace | NetNamespace,
            ) => Demand::Enforced,
            _ => Demand::Nothing,
        }
    }
}

/// What one worker got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// What was asked for.
    pub level: Level,
    /// Each layer once, in the order of [`Layer::ALL`].
    pub layers: Vec<(Layer, Protection)>,
}

impl Isolation {
    /// How much of one layer there is.
    #[must_use]
    pub fn of(&self, layer: Layer) -> Option<&Protection> {
        self.layers.iter().find(|(known, _)| *known == layer).map(|(_, protection)| protection)
    }

    /// Layers that are less than the level demands, each with what it is and what to do; empty when it is enough.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.tell(|layer, protection| match layer.demand(self.level) {
            Demand::Enforced => *protection != Protection::Enforced,
            Demand::NotAbsent => matches!(protection, Protection::Absent(_)),
            Demand::Nothing => false,
        })
    }

    /// Layers that are not whole though the level does not insist: for a warning.
    #[must_use]
    pub fn weaker(&self) -> Vec<String> {
        self.tell(|_, protection| *protection != Protection::Enforced)
    }

    /// Those layers, those with the same reason and remedy together.
    fn tell(&self, which: impl Fn(Layer, &Protection) -> bool) -> Vec<String> {
        let mut told: Vec<(Vec<&str>, &str, &str)> = Vec::new();
        for (layer, protection) in self.layers.iter().filter(|(layer, protection)| which(*layer, protection))
        {
            let why = match protection {
                Protection::Enforced => "enforced",
                Protection::Partial(why) | Protection::Absent(why) => why,
            };
            match told.iter_mut().find(|(_, known, advice)| *known == why && *advice == layer.advice()) {
                Some((names, ..)) => names.push(layer.name()),
                None => told.push((vec![layer.name()], why, layer.advice())),
            }
        }
        told.into_iter()
            .map(|(names, why, advice)| format!("{}: {why} ({advice})", names.join(", ")))
            .collect()
    }
}

/// One line: `standard; enforced: …; partial: landlock (…); absent: cgroup (…)`.
impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.level.as_str())?;
        let enforced: Vec<&str> = self
            .layers
            .iter()
            .filter(|(_, p)| *p == Protection::Enforced)
            .map(|(layer, _)| layer.name())
            .collect();
        let told = |wanted: fn(&Protection) -> Option<&String>| -> Vec<String> {
            let one =
                |(layer, p): &(Layer, Protection)| wanted(p).map(|why| format!("{} ({why})", layer.name()));
            self.layers.iter().filter_map(one).collect()
        };
        let partial = told(|p| if let Protection::Partial(why) = p { Some(why) } else { None });
        let absent = told(|p| if let Protection::Absent(why) = p { Some(why) } else { None });
        for (word, list) in [
            ("enforced", enforced.join(", ")),
            ("partial", partial.join(", ")),
            ("absent", absent.join(", ")),
        ] {
            if !list.is_empty() {
                write!(f, "; {word}: {list}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isolation(level: Level, weak: &[(Layer, Protection)]) -> Isolation {
        let of = |layer: Layer| {
            weak.iter().find(|(known, _)| *known == layer).map_or(Protection::Enforced, |(_, p)| p.clone())
        };
        Isolation { level, layers: Layer::ALL.map(|layer| (layer, of(layer))).into() }
    }

    #[test]
    fn levels_demand_what_they_say() {
        let absent = || Protection::Absent("not here".into());
        let no_landlock =
            [(Layer::Landlock, absent()), (Layer::Capabilities, Protection::Partial("bounding".into()))];
        assert_eq!(isolation(Level::Standard, &no_landlock).missing(), Vec::<String>::new());
        let strict = isolation(Level::Strict, &no_landlock).missing();
        assert!(strict.len() == 2 && strict[1].starts_with("landlock: not here (use Linux"), "{strict:?}");
        let no_seccomp = [(Layer::Seccomp, absent())];
        assert_eq!(isolation(Level::Standard, &no_seccomp).missing().len(), 1);
        assert_eq!(isolation(Level::Off, &no_seccomp).missing().len(), 0);
        for layer in Layer::ALL {
            let demanded = isolation(Level::Strict, &[(layer, absent())]).missing().len() == 1;
            assert!(
                demanded || isolation(Level::Standard, &[(layer, absent())]).missing().is_empty(),
                "{layer:?}"
            );
        }
    }

    #[test]
    fn it_is_told_in_one_line() {
        let weak = [
            (Layer::Cgroup, Protection::Absent("none".into())),
            (Layer::Landlock, Protection::Partial("ABI 4".into())),
        ];
        let text = isolation(Level::Standard, &weak).to_string();
        assert!(text.starts_with("standard; enforced: seccomp, no_new_privs, "), "{text}");
        assert!(text.ends_with("; partial: landlock (ABI 4); absent: cgroup (none)"), "{text}");
    }
}
