//! Whether the database is at work just now in this thread.
//!
//! Its library takes some damage to a file for a fault of its own and panics. The binary's panic hook asks here, and says what is to be done instead.

use std::cell::RefCell;

thread_local! {
    static FILE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// While it lives, panics of this thread come of this file.
pub(super) struct Inside(Option<String>);

impl Inside {
    pub(super) fn of(file: &str) -> Inside {
        Inside(FILE.with(|now| now.replace(Some(file.to_owned()))))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let before = self.0.take();
        FILE.with(|now| *now.borrow_mut() = before);
    }
}

/// The journal's file that this thread is at work on.
pub fn at_work_on() -> Option<String> {
    FILE.try_with(|now| now.borrow().clone()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_while_it_lasts_in_this_thread_alone() {
        let outer = Inside::of("a");
        {
            let _inner = Inside::of("b");
            assert_eq!(at_work_on().as_deref(), Some("b"));
            assert_eq!(std::thread::spawn(at_work_on).join().expect("a thread"), None);
        }
        assert_eq!(at_work_on().as_deref(), Some("a"));
        drop(outer);
        assert_eq!(at_work_on(), None);
    }
}
