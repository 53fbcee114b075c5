//! Why a worker gives up by itself. Each is told to the supervisor as a [`FaultCode`] and a sentence; then the process ends with status 1.

use croupier_wire::codec::{DecodeError, EncodeError};
use croupier_wire::frame::FrameError;
use croupier_wire::link::FaultCode;
use thiserror::Error;

/// A reason to give up.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// A step of the jail failed.
    #[error("worker set-up: {step}: {source}; see `croupier doctor` for what this system allows")]
    Jail { step: &'static str, source: std::io::Error },
    /// Hello's limits contradict each other.
    #[error(
        "a frame of {frame_bytes} bytes cannot hold a {what} of {bytes} bytes; raise the frame limit or lower the plugin's"
    )]
    Limits { what: &'static str, bytes: u32, frame_bytes: u32 },
    /// More address space was to be wasted than makes sense.
    #[error("cannot shift the address layout by {pages} pages; the most is {max}")]
    LayoutShift { pages: u32, max: u32 },

    /// Not as many descriptors came as should.
    #[error(
        "{count} descriptors came beside a message; the ring's memory travels beside Confine, the plugin's beside Hello, and nothing else"
    )]
    Descriptors { count: usize },
    /// The ring cannot be used.
    #[error(transparent)]
    Ring(#[from] croupier_ring::AdoptError),
    /// The descriptor has no seals.
    #[error("the plugin's descriptor is not a sealed memfd: {0}")]
    NotMemfd(nix::Error),
    /// The memfd can still be changed.
    #[error(
        "the plugin's memfd can still be changed; it must be sealed against writing, growing and shrinking"
    )]
    Unsealed,

    /// The loader refused.
    #[error("the plugin does not load: {0}")]
    Dlopen(String),
    /// No `croupier_plugin_v1`.
    #[error(
        "the plugin does not export croupier_plugin_v1 ({0}); use CROUPIER_EXPORT_PLUGIN or the SDK's export!"
    )]
    NoSymbol(String),
    /// A struct of the plugin cannot be what it says.
    #[error(
        "{what} says struct_size {found}, but version 1.0 of the contract has {smallest} to {largest} bytes; rebuild the plugin with croupier_plugin.h version 1"
    )]
    StructSize { what: &'static str, found: u32, smallest: usize, largest: usize },
    /// A pointer between the plugin's structs is NULL or misaligned.
    #[error("croupier_plugin_v1 has a NULL or misaligned {what}; fill it in with CROUPIER_EXPORT_PLUGIN")]
    BadPointer { what: &'static str },
    /// A mandatory function is NULL.
    #[error("the plugin's vtable has no {name}, which is mandatory")]
    MissingFunction { name: &'static str },
    /// Descriptor and manifest disagree.
    #[error("the plugin's descriptor says {what} {found:?}, its manifest {expected:?}; make them equal")]
    Mismatch { what: &'static str, found: String, expected: String },
    /// The `abi_stable` layouts differ.
    #[error("{0}")]
    Layout(String),

    /// The stream from the supervisor is no stream of frames.
    #[error("the supervisor's stream: {0}")]
    Frame(#[from] FrameError),
    /// A frame from the supervisor does not decode.
    #[error("the supervisor's frame: {0}")]
    Decode(#[from] DecodeError),
    /// An answer does not fit a frame.
    #[error("the worker's answer: {0}")]
    Encode(#[from] EncodeError),
    /// A message that is not allowed now.
    #[error("{message} came {when}")]
    Unexpected { message: &'static str, when: &'static str },
    /// A message about a session that is not there.
    #[error("{message} for session {session}, which this worker does not have")]
    UnknownSession { message: &'static str, session: u64 },
    /// A message that would make a session twice.
    #[error("{message} for session {session}, which this worker already has")]
    SessionExists { message: &'static str, session: u64 },
    /// A host call was answered with the answer of another.
    #[error("a host call of call {call_id} was answered with the answer to another question")]
    WrongAnswer { call_id: u64 },
    /// Too much was sent while a host call waited.
    #[error("more than {max} bytes of frames came before the answer of a host call")]
    Backlog { max: usize },
}

impl Fault {
    /// The code that the supervisor gets.
    pub(crate) fn code(&self) -> FaultCode {
        match self {
            Fault::Jail { .. } | Fault::Limits { .. } | Fault::LayoutShift { .. } | Fault::Ring(_) => {
                FaultCode::Setup
            }
            Fault::Descriptors { .. } | Fault::NotMemfd(_) | Fault::Unsealed => FaultCode::NoPlugin,
            Fault::Dlopen(_) => FaultCode::Dlopen,
            Fault::NoSymbol(_) => FaultCode::NoSymbol,
            Fault::StructSize { .. } | Fault::BadPointer { .. } => FaultCode::BadAbi,
            Fault::MissingFunction { .. } => FaultCode::MissingFunction,
            Fault::Mismatch { .. } => FaultCode::ManifestMismatch,
            Fault::Layout(_) => FaultCode::LayoutMismatch,
            Fault::Frame(_)
            | Fault::Decode(_)
            | Fault::Encode(_)
            | Fault::Unexpected { .. }
            | Fault::UnknownSession { .. }
            | Fault::SessionExists { .. }
            | Fault::WrongAnswer { .. }
            | Fault::Backlog { .. } => FaultCode::Protocol,
        }
    }
}
