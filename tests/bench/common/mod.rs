//! What the benchmarks share: bare transports to compare with, processors to run on, and figures.

pub(crate) mod bare;
pub(crate) mod figures;
pub(crate) mod pinned;
