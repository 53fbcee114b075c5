//! What a panic says. A fault of ours says where; a damaged journal is no fault of ours, and says what to do.

use std::io::Write;

use croupier::journal::at_work_on;

/// The exit code of a journal that cannot be read, as of other failures.
const FAILED: i32 = 1;

pub(crate) fn install_hook() {
    let ordinary = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let Some(file) = at_work_on() else { return ordinary(panic) };
        let text = format!(
            "error: {file} is damaged in a way that its database cannot read ({panic})\n  \
             keep a copy of it, and look at the disk; restore the file from a backup, or move it away to begin anew: its sessions are then lost\n"
        );
        // Whatever else there is to say it to may be what has failed.
        let _ = std::io::stderr().write_all(text.as_bytes());
        // Not through destructors: the database's own would panic again.
        std::process::exit(FAILED)
    }));
}
