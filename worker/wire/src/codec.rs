//! The only place in Croupier that knows bincode.
//!
//! Bodies are bincode 2 `standard()` with a limit. Decoding borrows from the frame and refuses trailing bytes.

