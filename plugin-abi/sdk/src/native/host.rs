//! The host's functions, as a game's [`Outside`].

use std::ffi::c_void;

use croupier_abi as abi;

use super::guard;
use crate::game::{Player, Refusal};
use crate::turn::{Level, Outside, host_refusal};

/// The C host of this worker.
pub(super) struct CHost<'a>(pub(super) &'a abi::Host);

impl CHost<'_> {
    /// Says why, and gives the status back.
    pub(super) fn fail(&self, refusal: &Refusal) -> abi::Status {
        if let Some(fail) = self.0.fail {
            // SAFETY: the host's own function and context; the text outlives the call.
            unsafe { fail(self.0.ctx, abi::Slice::of(refusal.text().as_bytes())) };
        }
        refusal.status()
    }
}

impl Outside for CHost<'_> {
    fn log(&mut self, level: Level, text: &str) {
        if let Some(log) = self.0.log {
            // SAFETY: as in `fail`.
            unsafe { log(self.0.ctx, level as i32, abi::Slice::of(text.as_bytes())) };
        }
    }

    fn send(&mut self, to: Player, message: &[u8]) -> abi::Status {
        match self.0.send {
            // SAFETY: as in `fail`.
            Some(send) => unsafe { send(self.0.ctx, to.0, abi::Slice::of(message)) },
            None => abi::E_UNSUPPORTED,
        }
    }

    fn emit(&mut self, topic: &str, event: &[u8]) -> abi::Status {
        match self.0.emit {
            // SAFETY: as in `fail`.
            Some(emit) => unsafe {
                emit(self.0.ctx, abi::Slice::of(topic.as_bytes()), abi::Slice::of(event))
            },
            None => abi::E_UNSUPPORTED,
        }
    }

    fn call(&mut self, name: &str, args: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut answer = Vec::new();
        let sink = abi::Sink { ctx: (&raw mut answer).cast(), write: Some(collect) };
        let status = match self.0.call {
            // SAFETY: as in `fail`; the host uses the sink during this call only.
            Some(call) => unsafe {
                call(self.0.ctx, abi::Slice::of(name.as_bytes()), abi::Slice::of(args), &sink)
            },
            None => abi::E_UNSUPPORTED,
        };
        match status {
            abi::OK => Ok(answer),
            status => Err(host_refusal(status, &format!("calling {name:?}"), &format!("call:{name}"))),
        }
    }
}

/// The sink that a host call's answer is written to: a `Vec<u8>`.
unsafe extern "C" fn collect(ctx: *mut c_void, data: *const u8, len: usize) -> abi::Status {
    guard("the sink of a host call", || {
        // SAFETY: `ctx` is the `Vec` of the `call` above, which waits for us; the host owns `data` until we return.
        unsafe { (*ctx.cast::<Vec<u8>>()).extend_from_slice(abi::Slice { ptr: data, len }.as_bytes()) };
        abi::OK
    })
}
