//! `croupier-report --out DIRECTORY [--date TEXT] [--command TEXT] FILE…`: reads files of JSON lines, writes `REPORT.md`, `summary.json` and the
//! plots into a directory, and prints the path of `summary.json` last. What the lines are is told in `lib.rs`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the path is what the caller wants")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use croupier_report::{Heading, report};

const USAGE: &str = "usage: croupier-report --out DIRECTORY [--date TEXT] [--command TEXT] FILE...";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(summary) => {
            println!("{}", summary.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("croupier-report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut words: impl Iterator<Item = String>) -> Result<PathBuf, Box<dyn Error>> {
    let (mut folder, mut heading, mut files) = (None, Heading::default(), Vec::new());
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE);
        match word.as_str() {
            "--out" => folder = Some(PathBuf::from(value()?)),
            "--date" => heading.date = value()?,
            "--command" => heading.command = value()?,
            option if option.starts_with('-') => return Err(format!("{option} is not known; {USAGE}").into()),
            file => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| format!("{file} cannot be read: {error}"))?;
                files.push((word, text));
            }
        }
    }
    let folder = folder.filter(|_| !files.is_empty()).ok_or(USAGE)?;
    let report = report(&files, &heading)?;
    std::fs::create_dir_all(&folder)?;
    for (name, svg) in &report.plots {
        std::fs::write(folder.join(name), svg)?;
    }
    std::fs::write(folder.join("REPORT.md"), &report.markdown)?;
    let summary = folder.join("summary.json");
    std::fs::write(&summary, format!("{:#}\n", report.summary))?;
    Ok(summary)
}
