//! A crash report as text for people.

use std::path::Path;

use croupier::crash::report::{Call, Crash, Fault, FrameReport, Report};
use croupier::crash::said::INNER_MAX;

use super::out::hanging;

/// Registers on one line.
const REGISTERS_PER_LINE: usize = 4;

/// `turn 6 of session 3`.
pub(super) fn call(call: &Call) -> String {
    match (call.session, call.seq) {
        (0, _) => call.what.clone(),
        (session, 0) => format!("{} of session {session}", call.what),
        (session, seq) => format!("{} {seq} of session {session}", call.what),
    }
}

/// The whole report.
pub(super) fn lines(report: &Report, folder: &Path) -> Vec<String> {
    let mut lines = vec![
        format!("crash     {}", report.id),
        format!("plugin    {} {}, binary {}", report.plugin, report.version, report.digest),
        format!("worker    {}, process {}, at {}", report.worker, report.pid, report.at),
        format!(
            "cause     {}{}",
            report.cause.text,
            if report.cause.counts { "" } else { " (not the turn's doing)" }
        ),
        format!("at        {}", report.last_call.as_ref().map_or_else(|| "no call".to_owned(), call)),
    ];
    match report.unanswered.len().saturating_sub(1) {
        0 => {}
        1 => lines.push("behind    1 more call unanswered".to_owned()),
        more => lines.push(format!("behind    {more} more calls unanswered")),
    }
    lines.extend(report.fault.as_ref().map(kernel));
    let limits = &report.limits;
    lines.push(format!(
        "limits    {} MiB memory, {} KiB stack, {} threads, {} descriptors, {} ms CPU and {} ms in all per turn",
        limits.memory_mib,
        limits.stack_kib,
        limits.threads,
        limits.open_files,
        limits.cpu_ms_per_turn,
        limits.turn_wall_ms
    ));
    lines.extend(hanging("isolation ", &report.isolation));
    lines.push(match &report.no_maps {
        None => format!("maps      {}", folder.join("maps.txt").display()),
        Some(why) => format!("maps      none: {why}"),
    });
    match (&report.untrusted.crash, &report.no_backtrace) {
        (Some(crash), _) => lines.extend(faulted(crash, report.fault.as_ref())),
        (None, Some(why)) => lines.push(format!("backtrace none: {why}")),
        (None, None) => lines.push("backtrace none".to_owned()),
    }
    if let Some(words) = &report.untrusted.last_words {
        lines.push(format!("it said   {words}   (its own words: no evidence)"));
    }
    match &report.no_replay {
        None => {
            lines.push(format!("replay    croupier crash {} --replay", report.id));
            lines.push(format!("debug     croupier crash {} --gdb", report.id));
        }
        Some(why) => lines.push(format!("replay    none: {why}")),
    }
    lines.push(format!("folder    {}", folder.display()));
    lines
}

/// What the kernel's log said.
fn kernel(fault: &Fault) -> String {
    let place = fault.module.as_ref().zip(fault.offset.as_ref());
    let place = place.map_or_else(String::new, |(module, offset)| format!(" = {module}+{offset}"));
    let address = fault.address.as_deref().unwrap_or("unknown");
    format!("kernel    address {address}, ip {}{place}, sp {}", fault.ip, fault.sp)
}

fn faulted(crash: &Crash, kernel: Option<&Fault>) -> Vec<String> {
    let address = crash.address.as_ref().map_or_else(String::new, |address| format!(" at {address}"));
    let mut lines =
        vec![format!("fault     {}{address}, code {}, in thread {}", crash.signal, crash.code, crash.thread)];
    lines.extend(crash.stack_overflow.as_ref().map(|which| format!("stack     {which}")));
    let shown = crash.registers.iter().find_map(|(name, value)| (name == "rip").then_some(value));
    let agrees = match (kernel, shown) {
        (Some(kernel), Some(shown)) if kernel.ip == *shown => "; the kernel's log agrees on its first line",
        (Some(_), _) => "; the kernel's log says that it was ELSEWHERE",
        (None, _) => "",
    };
    lines.push(format!(
        "backtrace (read from the worker's memory: a hostile plugin can show whatever it likes{agrees})"
    ));
    lines.extend(frames(crash));
    for (number, some) in crash.registers.chunks(REGISTERS_PER_LINE).enumerate() {
        let some: Vec<String> = some.iter().map(|(name, value)| format!("{name:>3} {value:<18}")).collect();
        let head = if number == 0 { "registers" } else { "" };
        lines.push(format!("{head:<9} {}", some.join(" ").trim_end()));
    }
    lines
}

/// Frames at the same place one after the other are told once.
fn frames(crash: &Crash) -> Vec<String> {
    let mut lines = Vec::new();
    let mut number = 0;
    for same in crash.frames.chunk_by(|one, next| one.address == next.address) {
        lines.push(frame(number, &same[0]));
        if same.len() > 1 {
            lines.push(format!("        and {} more at the same place", same.len() - 1));
        }
        let before = number;
        number += same.len();
        if crash.frames_left_out > 0 && (before..number).contains(&(INNER_MAX - 1)) {
            lines.push(format!("        {} frames are left out here", crash.frames_left_out));
        }
    }
    lines
}

fn frame(number: usize, frame: &FrameReport) -> String {
    let place = match (&frame.module, &frame.offset) {
        (Some(module), Some(offset)) => format!("{module}+{offset}"),
        (Some(module), None) => format!("{module}, {}", frame.address),
        (None, _) => format!("no code at {}", frame.address),
    };
    let function = frame.function.as_ref().zip(frame.into.as_ref());
    let function = function.map_or_else(String::new, |(name, into)| format!("  {name}+{into}"));
    let doubt = match frame.found.as_str() {
        "scan" => "  (perhaps: found on the stack)",
        "frame-pointer" => "  (by frame pointer)",
        _ => "",
    };
    format!("  #{number:<2}  {place}{function}{doubt}")
}
