//! A direction in memory of loom's, for its models: the words are its atomics, and so is each byte, so that bytes which are read before they were published show as what was there before.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU8, Ordering};

use crate::control::{Bytes, Control, Lane};
use crate::{Receiver, Sender};

/// The memory of one direction.
#[derive(Debug)]
pub struct Memory {
    control: Control,
    bytes: Vec<AtomicU8>,
}

/// One side's hold on it.
#[derive(Debug, Clone)]
pub struct Modelled(Arc<Memory>);

/// Both ends of a direction of so many bytes, a power of two.
pub fn direction(bytes: u32) -> (Sender<Modelled>, Receiver<Modelled>) {
    let memory =
        Memory { control: Control::default(), bytes: (0..bytes).map(|_| AtomicU8::new(0)).collect() };
    let lane = Modelled(Arc::new(memory));
    (Sender::new(lane.clone()), Receiver::new(lane.clone(), lane))
}

impl Modelled {
    fn byte(&self, at: u32) -> &AtomicU8 {
        &self.0.bytes[(at & (self.len() - 1)) as usize]
    }
}

impl Bytes for Modelled {
    fn len(&self) -> u32 {
        self.0.bytes.len() as u32
    }

    fn write(&self, at: u32, from: &[u8]) {
        for (byte, offset) in from.iter().zip(0..) {
            self.byte(at.wrapping_add(offset)).store(*byte, Ordering::Relaxed);
        }
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        for (byte, offset) in into.iter_mut().zip(0..) {
            *byte = self.byte(at.wrapping_add(offset)).load(Ordering::Relaxed);
        }
    }
}

impl Lane for Modelled {
    fn control(&self) -> &Control {
        &self.0.control
    }
}
