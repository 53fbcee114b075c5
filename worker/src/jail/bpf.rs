//! A filter program (seccomp(2), "struct seccomp_data") from rules: a call is allowed when all checks of its rule pass, and goes to the supervisor otherwise.
//!
//! Classic BPF jumps forward only, by at most 255. Each rule is a block that always ends in a return, so the call's number stays loaded until one is found.

use libc::sock_filter;

/// `AUDIT_ARCH_X86_64` (linux/audit.h).
const ARCH: u32 = 0xc000_003e;
/// Numbers from here on are x32 calls.
const X32: u32 = 0x4000_0000;
/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const ARGS_AT: u32 = 16;

/// What is asked of one argument; its low 32 bits are looked at, as the kernel does with descriptors, signals, protections and flags.
#[derive(Debug, Clone)]
pub(super) enum Check {
    /// It is one of these.
    In(u32, Vec<u32>),
    /// It is none of these.
    NotIn(u32, Vec<u32>),
    /// It has none of these bits.
    Without(u32, u32),
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// Made when all of these pass.
    AllowIf(Vec<Check>),
    /// Fails with this error, without asking anybody.
    Errno(u32),
}

/// A call's number, and what becomes of it.
pub(super) type Rule = (libc::c_long, Verdict);

/// Rules that are compared one after the other; more are halved first.
const LEAF_RULES: usize = 3;
/// Room for the longest program.
const INSTRUCTIONS: usize = 256;

/// The whole program; each number has at most one rule. Other architectures, x32, and whatever has no rule go to the supervisor.
///
/// The rule of a number is searched for by halves. The kernel walks the program for every number that it has when the filter is installed (to remember which are always allowed), and
/// whoever starts a worker waits for that.
pub(super) fn program(rules: &[Rule]) -> Vec<sock_filter> {
    let mut rules: Vec<&Rule> = rules.iter().collect();
    rules.sort_unstable_by_key(|(number, _)| *number);
    assert!(rules.windows(2).all(|pair| pair[0].0 < pair[1].0), "a number has one rule");
    // In one piece: each worker keeps the pages that it touches here.
    let mut program = Vec::with_capacity(INSTRUCTIONS);
    program.extend([
        load(ARCH_AT),
        jump(libc::BPF_JEQ, ARCH, 1, 0),
        give(libc::SECCOMP_RET_USER_NOTIF),
        load(NUMBER_AT),
        jump(libc::BPF_JGE, X32, 0, 1),
        give(libc::SECCOMP_RET_USER_NOTIF),
    ]);
    search(&rules, &mut program);
    program
}

/// Goes to the block of the loaded number.
fn search(rules: &[&Rule], program: &mut Vec<sock_filter>) {
    if rules.len() > LEAF_RULES {
        let (less, more) = rules.split_at(rules.len() / 2);
        program.push(jump(libc::BPF_JGE, number(more[0]), 0, 0));
        let from = program.len();
        search(less, program);
        program[from - 1].jt = since(from, program);
        return search(more, program);
    }
    for rule in rules {
        program.push(jump(libc::BPF_JEQ, number(rule), 0, 0));
        let from = program.len();
        block(&rule.1, program);
        program[from - 1].jf = since(from, program);
    }
    program.push(give(libc::SECCOMP_RET_USER_NOTIF));
}

fn number(rule: &Rule) -> u32 {
    u32::try_from(rule.0).expect("numbers of calls are small")
}

/// How far a jump goes that is to end here.
fn since(from: usize, program: &[sock_filter]) -> u8 {
    u8::try_from(program.len() - from).expect("blocks are short, and half of the program is")
}

fn block(verdict: &Verdict, program: &mut Vec<sock_filter>) {
    match verdict {
        Verdict::Errno(errno) => program.push(give(libc::SECCOMP_RET_ERRNO | errno)),
        Verdict::AllowIf(checks) => {
            checks.iter().for_each(|check| self::check(check, program));
            program.push(give(libc::SECCOMP_RET_ALLOW));
        }
    }
}

/// Goes on after its last instruction when the check passes, and returns otherwise.
fn check(check: &Check, program: &mut Vec<sock_filter>) {
    let refuse = give(libc::SECCOMP_RET_USER_NOTIF);
    let compare = |values: &[u32], program: &mut Vec<sock_filter>| {
        for (at, value) in values.iter().enumerate() {
            program.push(jump(libc::BPF_JEQ, *value, left(values, at) + 1, 0));
        }
    };
    match check {
        Check::In(arg, values) => {
            program.push(load(ARGS_AT + 8 * arg));
            // Over the comparisons that are left, and over the refusal.
            compare(values, program);
            program.push(refuse);
        }
        Check::NotIn(arg, values) => {
            program.push(load(ARGS_AT + 8 * arg));
            // Over the comparisons that are left, and over the way out, to the refusal.
            compare(values, program);
            program.extend([jump(libc::BPF_JA, 1, 0, 0), refuse]);
        }
        Check::Without(arg, bits) => {
            program.extend([load(ARGS_AT + 8 * arg), jump(libc::BPF_JSET, *bits, 0, 1), refuse]);
        }
    }
}

fn left(values: &[u32], at: usize) -> u8 {
    u8::try_from(values.len() - 1 - at).expect("lists of values are short")
}

fn load(at: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0)
}

fn jump(how: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(libc::BPF_JMP | how | libc::BPF_K, value, yes, no)
}

fn give(action: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("codes have 16 bits"), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel does.
    fn run(program: &[sock_filter], arch: u32, number: u32, args: [u32; 6]) -> u32 {
        let (mut at, mut a) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let code = u32::from(code);
            if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS {
                a = match k {
                    NUMBER_AT => number,
                    ARCH_AT => arch,
                    k => args[(k - ARGS_AT) as usize / 8],
                };
            } else if code == libc::BPF_RET | libc::BPF_K {
                return k;
            } else {
                let yes = match code & 0xf0 {
                    libc::BPF_JA => {
                        at += k as usize;
                        continue;
                    }
                    libc::BPF_JEQ => a == k,
                    libc::BPF_JGE => a >= k,
                    libc::BPF_JSET => a & k != 0,
                    other => panic!("{other:#x}"),
                };
                at += usize::from(if yes { jt } else { jf });
            }
        }
    }

    const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    fn of(program: &[sock_filter], number: u32, args: [u32; 6]) -> u32 {
        run(program, ARCH, number, args)
    }

    #[test]
    fn rules_decide_by_number_and_arguments() {
        let rules = [
            (7, Verdict::AllowIf(vec![])),
            (8, Verdict::AllowIf(vec![Check::In(0, vec![1, 2, 3])])),
            (9, Verdict::AllowIf(vec![Check::Without(2, 4), Check::Without(3, 1)])),
            (10, Verdict::AllowIf(vec![Check::NotIn(1, vec![4, 5])])),
            (11, Verdict::Errno(25)),
        ];
        let program = program(&rules);
        assert_eq!(of(&program, 7, [0; 6]), ALLOW);
        assert_eq!(
            (0..5).map(|fd| of(&program, 8, [fd, 0, 0, 0, 0, 0]) == ALLOW).collect::<Vec<_>>(),
            [false, true, true, true, false]
        );
        assert_eq!(of(&program, 9, [0, 0, 3, 2, 0, 0]), ALLOW);
        assert_eq!(of(&program, 9, [0, 0, 5, 2, 0, 0]), ASK);
        assert_eq!(of(&program, 9, [0, 0, 3, 3, 0, 0]), ASK);
        assert_eq!(
            (3..7).map(|value| of(&program, 10, [0, value, 0, 0, 0, 0]) == ALLOW).collect::<Vec<_>>(),
            [true, false, false, true]
        );
        assert_eq!(of(&program, 11, [0; 6]), libc::SECCOMP_RET_ERRNO | 25);
        assert_eq!(of(&program, 12, [0; 6]), ASK);
    }

    #[test]
    fn many_rules_are_each_found_and_nothing_between_them() {
        for count in 0..40 {
            let number = |at: u32| 3 * at + 1;
            let rule = |at: u32| (libc::c_long::from(number(at)), Verdict::Errno(at));
            // In an order that is not theirs.
            let rules: Vec<Rule> = (0..count).rev().map(rule).collect();
            let program = program(&rules);
            for wanted in 0..number(count) + 3 {
                let at = (0..count).find(|at| number(*at) == wanted);
                let expected = at.map_or(ASK, |at| libc::SECCOMP_RET_ERRNO | at);
                assert_eq!(of(&program, wanted, [0; 6]), expected, "{wanted} of {count}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "one rule")]
    fn two_rules_for_a_number_are_a_mistake() {
        program(&[(7, Verdict::Errno(1)), (7, Verdict::AllowIf(vec![]))]);
    }

    #[test]
    fn other_architectures_and_x32_are_never_allowed() {
        let program = program(&[(7, Verdict::AllowIf(vec![]))]);
        assert_eq!(run(&program, 0x4000_0003, 7, [0; 6]), ASK);
        assert_eq!(of(&program, 7 | X32, [0; 6]), ASK);
        assert_eq!(of(&program, u32::MAX, [0; 6]), ASK);
    }
}
