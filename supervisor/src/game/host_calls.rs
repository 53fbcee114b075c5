//! Who answers plugins' questions: named providers, each a function that may block.

use std::collections::BTreeMap;
use std::sync::Arc;

use croupier_core::event::HostKey;
use croupier_core::ids::Payload;

/// `CROUPIER_E_UNSUPPORTED`: nobody answers to that name.
pub const UNSUPPORTED: i32 = -3;
/// `CROUPIER_E_INTERNAL`: the provider is at fault.
pub const INTERNAL: i32 = -4;
/// `CROUPIER_E_TOO_BIG`: the answer is over the plugin's limit.
pub const TOO_BIG: i32 = -5;

/// One question of a plugin.
#[derive(Debug, Clone)]
pub struct HostCall {
    /// The plugin.
    pub plugin: String,
    /// Names the call for ever: a provider that must act only once remembers it.
    pub key: HostKey,
    /// The arguments.
    pub args: Payload,
}

/// Answers a question: bytes, or a negative status that the plugin gets. Runs on a thread that may block.
pub type Provider = Arc<dyn Fn(HostCall) -> Result<Vec<u8>, i32> + Send + Sync>;

/// The providers by name.
#[derive(Clone, Default)]
pub struct HostCalls {
    providers: BTreeMap<String, Provider>,
}

impl std::fmt::Debug for HostCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.providers.keys()).finish()
    }
}

impl HostCalls {
    /// From now on `provider` answers to `name`.
    pub fn set(&mut self, name: &str, provider: Provider) {
        self.providers.insert(name.to_owned(), provider);
    }

    /// Who answers to `name`.
    pub fn get(&self, name: &str) -> Option<Provider> {
        self.providers.get(name).cloned()
    }
}

/// Calls a provider and brings what it says within bounds: status 0 and the answer, or a negative status and nothing.
pub(super) fn ask(provider: &Provider, call: HostCall, answer_bytes_max: usize) -> (i32, Payload) {
    let asked = std::panic::AssertUnwindSafe(|| provider(call));
    match std::panic::catch_unwind(asked) {
        Ok(Ok(answer)) if answer.len() <= answer_bytes_max => (0, answer.into()),
        Ok(Ok(_)) => (TOO_BIG, Payload::default()),
        Ok(Err(status)) if status < 0 => (status, Payload::default()),
        Ok(Err(_)) | Err(_) => (INTERNAL, Payload::default()),
    }
}

#[cfg(test)]
mod tests {
    use croupier_core::ids::SessionId;

    use super::*;

    #[test]
    fn what_a_provider_says_is_brought_within_bounds() {
        let call = || HostCall {
            plugin: "p".into(),
            key: HostKey { session: SessionId(1), seq: 1, index: 0 },
            args: Payload::from(*b"x"),
        };
        let provider = |f: fn(HostCall) -> Result<Vec<u8>, i32>| -> Provider { Arc::new(f) };
        let cases: [(Provider, (i32, &[u8])); 5] = [
            (provider(|call| Ok(call.args.to_vec())), (0, b"x")),
            (provider(|_| Ok(vec![0; 9])), (TOO_BIG, b"")),
            (provider(|_| Err(-42)), (-42, b"")),
            (provider(|_| Err(7)), (INTERNAL, b"")),
            (provider(|_| panic!("on purpose")), (INTERNAL, b"")),
        ];
        for (provider, (status, answer)) in cases {
            let (found, bytes) = ask(&provider, call(), 8);
            assert_eq!((found, &*bytes), (status, answer));
        }
    }
}
