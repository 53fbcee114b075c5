//! A C programmer's path, with exactly the commands that the pages say.

use std::path::Path;
use std::process::{Command, Output};

use croupier_tests::{Daemon, artifacts, skipped};

/// Runs a shell command as a reader of the page would: `croupier` is on the path, the supervisor's socket is the usual one.
fn shell(daemon: &Daemon, directory: &Path, command: &str) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    // The reader's supervisor listens at the default place; a test's must not.
    let socket =
        format!("croupier() {{ command croupier --socket '{}' \"$@\"; }}\n", daemon.control().display());
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", &(socket + command)])
        .current_dir(directory)
        .env("PATH", format!("{}:{path}", artifacts::artifacts().directory.display()))
        .output()
        .expect("bash")
}

fn succeed(output: &Output, command: &str) {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}\n{said}");
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else if entry.path().extension().is_none_or(|extension| extension != "so") {
            std::fs::copy(entry.path(), target).expect("room on the disk");
        }
    }
}

/// The text between two lines of a page.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("the page has no {from:?}")) + from.len();
    let length = text[start..].find(to).unwrap_or_else(|| panic!("the page has no {to:?} after {from:?}"));
    &text[start..start + length]
}

#[test]
fn the_commands_of_the_dice_plugins_page_work_as_they_stand() {
    if artifacts::c_compiler().is_none() {
        return skipped("the path in C", "there is no C compiler");
    }
    let daemon = Daemon::with(&[]);
    let root = artifacts::repository();
    let place = daemon.dir().join("tree");
    copy_tree(&root.join("plugins/dice"), &place.join("plugins/dice"));
    copy_tree(&root.join("plugin-abi/include"), &place.join("plugin-abi/include"));
    let page = std::fs::read_to_string(root.join("plugins/dice/README.md")).expect("the page");
    let commands = between(&page, "```sh\n", "```");
    for step in ["cc ", "croupier check", "croupier load", "croupier play"] {
        assert!(commands.contains(step), "the page has no {step:?}");
    }
    succeed(&shell(&daemon, &place.join("plugins/dice"), commands), commands);
    let status = daemon.status();
    assert!(status.turns > 5 && status.workers_lost == 0, "{status:?}");
}

#[test]
fn the_whole_plugin_on_the_page_on_writing_plugins_works_as_it_stands() {
    if artifacts::c_compiler().is_none() {
        return skipped("the path in C", "there is no C compiler");
    }
    let daemon = Daemon::with(&[]);
    let page = std::fs::read_to_string(artifacts::repository().join("docs/PLUGINS.md")).expect("the page");
    let place = daemon.dir().join("coin");
    std::fs::create_dir(&place).expect("a directory");
    let coin = between(&page, "<!-- file: c/coin.c -->\n```c\n", "\n```");
    std::fs::write(place.join("coin.c"), coin).expect("room on the disk");
    let script = between(&page, "<!-- file: coin.jsonl -->\n```json\n", "\n```");
    std::fs::write(place.join("coin.jsonl"), script).expect("room on the disk");
    let compile =
        format!("cc -std=c99{}libcoin.so coin.c", between(&page, "    cc -std=c99", "libcoin.so coin.c"));
    let include = artifacts::repository().join("plugin-abi/include");
    let compile = compile.replace("PATH/TO/plugin-abi/include", include.to_str().expect("UTF-8"));
    succeed(&shell(&daemon, &place, &compile), &compile);
    for command in ["croupier check libcoin.so", "croupier check --determinism coin.jsonl libcoin.so"] {
        assert!(page.contains(command), "the page says {command:?}");
        succeed(&shell(&daemon, &place, command), command);
    }
    for verb in ["load  libcoin.so", "plugins", "play coin.jsonl"] {
        let line = format!("croupier --socket state/control.sock {verb}");
        assert!(page.contains(&line), "the page says {line:?}");
        let line = line.replace("--socket state/control.sock ", "");
        succeed(&shell(&daemon, &place, &line), &line);
    }
    let _ = daemon.cli(["unload", "coin"]).exits(0);
}
