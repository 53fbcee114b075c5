//! What becomes of a system call that the filter passed on: a table, on numbers alone. What a pointer leads to can change after it was looked at, so it never decides anything.
//!
//! ```text
//!  Loading ── the loader opens the plugin: it gets the verified bytes, once ── it maps their code: allowed for that descriptor alone ── Welcome ──▶ Running
//!  Running: everything is refused. There is no way back.
//! ```

use croupier_notify::{ARCH_X86_64, Call};

use super::names::number;

/// Executable mappings that one library needs, with room to spare.
const CODE_MAPPINGS_MAX: u32 = 4;
/// mmap(2), prctl(2), open(2), errno(3).
const PROT_READ_EXEC: u64 = 5;
const MAP_SHARED: u64 = 1;
const MAP_ANONYMOUS: u64 = 0x20;
const PR_SET_DUMPABLE: u64 = 4;
/// Operation not permitted.
pub const EPERM: i32 = 1;
/// No such file or directory.
pub const ENOENT: i32 = 2;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It gets a descriptor of the verified plugin: tell [`Loading::given`] its number.
    GivePlugin,
    /// The kernel makes the call.
    Resume,
    /// It fails with this error number, and is reported.
    Refuse(i32),
}

/// What a worker may still do on its way to Welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// The number of the plugin's descriptor, once it has it.
    descriptor: Option<u32>,
    mappings: u32,
}

impl Default for Loading {
    fn default() -> Loading {
        Loading { descriptor: None, mappings: CODE_MAPPINGS_MAX }
    }
}

impl Loading {
    /// The loader has the plugin's descriptor.
    pub fn given(&mut self, descriptor: u32) {
        self.descriptor = Some(descriptor);
    }

    /// Decides while the plugin is being loaded.
    pub fn decide(&mut self, call: &Call) -> Decision {
        if call.arch != ARCH_X86_64 {
            return refuse(call);
        }
        let [first, second, prot, flags, fd, _] = call.args;
        match self.descriptor {
            // The worker's own code, which asks for this before it calls the loader.
            None if call.number == number::PRCTL && (first, second) == (PR_SET_DUMPABLE, 0) => {
                Decision::Resume
            }
            None if call.number == number::OPENAT => Decision::GivePlugin,
            Some(plugin)
                if call.number == number::MMAP
                    && self.mappings > 0
                    && prot == PROT_READ_EXEC
                    && flags & (MAP_SHARED | MAP_ANONYMOUS) == 0
                    && fd == u64::from(plugin) =>
            {
                self.mappings -= 1;
                Decision::Resume
            }
            _ => refuse(call),
        }
    }
}

/// Decides once the plugin is there.
pub fn refuse(call: &Call) -> Decision {
    let opens =
        call.arch == ARCH_X86_64 && [number::OPEN, number::OPENAT, number::OPENAT2].contains(&call.number);
    // Many libraries look for files that they can do without.
    Decision::Refuse(if opens { ENOENT } else { EPERM })
}

#[cfg(test)]
mod tests {
    use croupier_notify::{ARCH_I386, X32_BIT};

    use super::*;

    fn call(number: u32, args: [u64; 6]) -> Call {
        Call { id: 1, thread: 1, arch: ARCH_X86_64, number, ip: 0, args }
    }

    #[test]
    fn the_plugin_is_given_once_and_only_its_code_is_mapped() {
        let mut loading = Loading::default();
        let open = call(number::OPENAT, [0; 6]);
        let map = |prot, flags, fd| call(number::MMAP, [0, 4096, prot, flags, fd, 0]);
        assert_eq!(loading.decide(&map(5, 2, 7)), Decision::Refuse(EPERM), "before there is a plugin");
        assert_eq!(loading.decide(&call(number::PRCTL, [4, 0, 0, 0, 0, 0])), Decision::Resume);
        assert_eq!(loading.decide(&call(number::PRCTL, [4, 1, 0, 0, 0, 0])), Decision::Refuse(EPERM));
        assert_eq!(loading.decide(&open), Decision::GivePlugin);
        loading.given(7);
        assert_eq!(loading.decide(&open), Decision::Refuse(ENOENT));
        for (prot, flags, fd) in [(7, 2, 7), (5, 1, 7), (5, 0x22, 7), (5, 2, 8), (5, 2, u64::MAX)] {
            assert_eq!(loading.decide(&map(prot, flags, fd)), Decision::Refuse(EPERM), "{prot} {flags} {fd}");
        }
        assert_eq!(loading.decide(&map(5, 0x812, 7)), Decision::Resume);
        for _ in 1..CODE_MAPPINGS_MAX {
            assert_eq!(loading.decide(&map(5, 2, 7)), Decision::Resume);
        }
        assert_eq!(loading.decide(&map(5, 2, 7)), Decision::Refuse(EPERM), "no library has that many");
    }

    #[test]
    fn other_architectures_get_nothing() {
        let foreign = Call { arch: ARCH_I386, ..call(number::OPENAT, [0; 6]) };
        assert_eq!(Loading::default().decide(&foreign), Decision::Refuse(EPERM));
        assert_eq!(
            Loading::default().decide(&call(number::OPENAT | X32_BIT, [0; 6])),
            Decision::Refuse(EPERM)
        );
    }
}
