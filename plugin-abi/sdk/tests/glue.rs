//! The exported symbol of an SDK plugin, driven as a worker drives it: through the C vtable.
#![allow(unsafe_code)] // it calls a C vtable

mod coin;
#[path = "../../tests/support/host.rs"]
mod host;

use croupier_abi as abi;
use host::{Driver, Session, turn};

unsafe extern "C" {
    static croupier_plugin_v1: abi::Plugin;
}

const CONFIG: &[u8] = br#"{"max_bet":100}"#;

fn driver() -> Driver {
    // SAFETY: the symbol that `export!` defines in this very program.
    unsafe { Driver::new(&raw const croupier_plugin_v1) }
}

fn seated() -> (Driver, Session) {
    let mut driver = driver();
    let (session, reply) = driver.open([1; 32], CONFIG).unwrap();
    assert_eq!(reply, br#"{"stack":0,"flips":0}"#);
    driver.play(session, &turn(abi::TURN_JOIN, 5, 2, [2; 32]), br#"{"stack":10.50}"#).unwrap();
    (driver, session)
}

fn act(driver: &mut Driver, session: Session, payload: &str) -> Result<String, (i32, String)> {
    let reply = driver.play(session, &turn(abi::TURN_ACTION, 5, 3, [3; 32]), payload.as_bytes())?;
    Ok(String::from_utf8(reply).unwrap())
}

#[test]
fn the_descriptor_is_the_manifest() {
    // SAFETY: static data of this program, with NUL-terminated texts.
    unsafe {
        let plugin = &croupier_plugin_v1;
        let descriptor = &*plugin.descriptor;
        assert_eq!(plugin.struct_size as usize, size_of::<abi::Plugin>());
        assert_eq!((*plugin.vtable).struct_size as usize, size_of::<abi::Vtable>());
        assert_eq!(std::ffi::CStr::from_ptr(descriptor.name), c"coin");
        assert_eq!(std::ffi::CStr::from_ptr(descriptor.version), c"2.3.4");
        assert_eq!((descriptor.abi_minor, descriptor.state_version), (abi::ABI_MINOR, 2));
    }
}

#[cfg(feature = "layout")]
#[test]
fn the_layout_is_exported() {
    unsafe extern "C" {
        static croupier_abi_layout_v1: u8;
    }
    // SAFETY: `export!` defines it as a `LayoutExport`; nothing is read as a `u8`.
    unsafe { abi::layout::check_layout((&raw const croupier_abi_layout_v1).cast()) }.unwrap();
}

#[test]
fn plays_and_sends() {
    let (mut driver, session) = seated();
    let reply = act(&mut driver, session, r#"{"flip":{"side":"heads","amount":0.25}}"#).unwrap();
    assert!(reply == r#"{"stack":10.75,"flips":1}"# || reply == r#"{"stack":10.25,"flips":1}"#, "{reply}");
    assert_eq!(driver.heard().sent.len(), 1);
    assert_eq!(driver.heard().emitted, [("table".to_owned(), b"5".to_vec())]);
    driver.heard().answers.push(b"77.5".to_vec());
    assert_eq!(act(&mut driver, session, r#""balance""#).unwrap(), r#"{"stack":77.5,"flips":1}"#);
    assert_eq!(driver.heard().logged, [(abi::LOG_INFO, "asking the wallet".to_owned())]);
    let left = driver.play(session, &turn(abi::TURN_LEAVE, 5, 9, [0; 32]), b"tired").unwrap();
    assert_eq!(left, br#"{"stack":77.5,"flips":1}"#);
    assert_eq!(driver.close(session, 10).unwrap(), br#"{"stack":0,"flips":1}"#);
    driver.shutdown();
}

#[test]
fn says_why_it_fails() {
    let (mut driver, session) = seated();
    let mut why = |payload| act(&mut driver, session, payload).unwrap_err();
    assert_eq!(
        why(r#"{"flip":{"side":"heads","amount":101}}"#),
        (abi::E_REFUSED, "the most you may bet is 100".into())
    );
    let (status, text) = why(r#"{"flip":{"side":"edge","amount":1}}"#);
    assert_eq!(status, abi::E_BAD_INPUT);
    assert!(text.starts_with("action, at flip.side: unknown variant `edge`"), "{text}");
    let (_, text) = why(r#"{"flip":{"side":"heads","amount":1e400}}"#);
    assert!(text.starts_with("action, at flip.amount: a number with more than 28 digits"), "{text}");
    assert!(why("").1.starts_with("action: "));
    let (status, text) = why(r#""balance""#);
    assert_eq!(
        (status, text.as_str()),
        (abi::E_UNSUPPORTED, "calling \"wallet.pay\": this host does not offer it")
    );

    driver.heard().effects_status = abi::E_DENIED;
    let (status, text) = act(&mut driver, session, r#"{"flip":{"side":"heads","amount":1}}"#).unwrap_err();
    assert_eq!(status, abi::E_DENIED);
    assert!(text.contains(r#"ask for "send" in the manifest"#), "{text}");

    let tick = driver.play(session, &turn(abi::TURN_TICK, 0, 4, [0; 32]), b"").unwrap_err();
    assert_eq!(tick.0, abi::E_UNSUPPORTED);
    let open = driver.open([1; 32], br#"{"max_bet":0}"#).err().unwrap();
    assert_eq!(open, (abi::E_REFUSED, "max_bet must be above 0".into()));
}

#[test]
fn snapshots_restore_and_migrate() {
    let (mut driver, session) = seated();
    let snapshot = driver.snapshot(session).unwrap();
    let copy = driver.restore(2, &snapshot).unwrap();
    let flip = r#"{"flip":{"side":"tails","amount":3}}"#;
    assert_eq!(act(&mut driver, session, flip), act(&mut driver, copy, flip));
    assert_eq!(driver.snapshot(session), driver.snapshot(copy));
    driver.drop_session(copy);

    let migrated = driver.restore(1, &[44]).unwrap();
    assert_eq!(driver.close(migrated, 2).unwrap(), br#"{"stack":0,"flips":44}"#);
    assert_eq!(driver.restore(9, &snapshot).err().unwrap(), (abi::E_UNSUPPORTED, "version 9".into()));
    assert_eq!(driver.restore(2, &snapshot[..3]).err().unwrap().0, abi::E_BAD_INPUT);
    let longer = [snapshot.as_slice(), b"x"].concat();
    assert_eq!(driver.restore(2, &longer).err().unwrap().1, "the snapshot has 1 bytes too many");
}

#[test]
fn a_full_sink_fails_the_turn() {
    let (mut driver, session) = seated();
    act(&mut driver, session, r#"{"flood":{"bytes":5000}}"#).unwrap();
    driver.sink_max = 4000;
    let (status, text) = driver.snapshot(session).unwrap_err();
    assert_eq!(status, abi::E_TOO_BIG);
    assert!(text.contains("limits.snapshot_bytes"), "{text}");
    driver.sink_max = 3;
    let (status, text) = act(&mut driver, session, r#"{"flood":{"bytes":1}}"#).unwrap_err();
    assert_eq!(status, abi::E_TOO_BIG);
    assert!(text.contains("limits.reply_bytes"), "{text}");
    assert_eq!(driver.open([1; 32], CONFIG).err().unwrap().0, abi::E_TOO_BIG);
}

/// A host that is older than this SDK: its struct ends after `log`.
#[test]
fn a_short_host_is_read_no_further_than_it_goes() {
    let mut driver = driver();
    let (init, shutdown) = (driver.vtable.init.unwrap(), driver.vtable.shutdown.unwrap());
    let (session, _) = driver.open([1; 32], CONFIG).unwrap();
    #[repr(C)]
    struct ShortHost {
        struct_size: u32,
        abi_minor: u32,
        pointers: [usize; 4],
        // What stands behind it is none of the plugin's business: calling it would crash.
        trap: [usize; 3],
    }
    let host = ShortHost { struct_size: 40, abi_minor: 0, pointers: [0; 4], trap: [1; 3] };
    let mut game = std::ptr::null_mut();
    // SAFETY: as the header asks: a struct whose first member tells its size.
    let status = unsafe { init((&raw const host).cast(), abi::Slice::of(b"{}"), &mut game) };
    assert_eq!(status, abi::OK);
    // SAFETY: as the header asks; the session belongs to the same plugin, whose sessions do not refer to their game.
    let status = unsafe {
        let mut sink_bytes = 0u64;
        unsafe extern "C" fn swallow(_: *mut std::ffi::c_void, _: *const u8, _: usize) -> i32 {
            abi::OK
        }
        let sink = abi::Sink { ctx: (&raw mut sink_bytes).cast(), write: Some(swallow) };
        let joined = turn(abi::TURN_JOIN, 5, 2, [2; 32]);
        driver.vtable.player_join.unwrap()(game, session.as_ptr(), &joined, abi::Slice::of(b"{}"), &sink)
    };
    // Joining emits, and this host knows no emit.
    assert_eq!(status, abi::E_UNSUPPORTED);
    // SAFETY: the last call for this game.
    unsafe { shutdown(game) };
    let _ = (host.abi_minor, host.pointers, host.trap);
}

const CHILD: &str = "COIN_TEST_PANICS";

#[test]
fn a_panic_ends_the_process_with_a_message() {
    if std::env::var_os(CHILD).is_some() {
        let (mut driver, session) = seated();
        let _ = act(&mut driver, session, r#""panic""#);
        unreachable!("the panic was survived");
    }
    use std::os::unix::process::ExitStatusExt;
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_panic_ends_the_process_with_a_message", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    // SIGABRT.
    assert_eq!(output.status.signal(), Some(6), "{text}");
    assert!(text.contains("as you wish") && text.contains("coin/mod.rs"), "{text}");
    assert!(text.contains("panic in action: this worker ends here"), "{text}");
}
