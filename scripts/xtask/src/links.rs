//! Links in Markdown to files of this repository must lead somewhere. Links into the web are not followed.

use std::path::{Component, Path, PathBuf};

use crate::breach::Breach;

/// Checks one Markdown file; `exists` says whether a path, relative to the repository, is there.
pub(crate) fn check(file: &str, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut fenced = false;
    for (n, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            if let Some(advice) = wrong(file, target, &exists) {
                breaches.push(Breach::new(file, n + 1, "link", advice));
            }
        }
    }
    breaches
}

fn wrong(file: &str, target: &str, exists: impl Fn(&Path) -> bool) -> Option<String> {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
        return None;
    }
    if path.starts_with('/') {
        return Some(format!("`{target}` is a path of one machine; write it relative to this file"));
    }
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    match normal(&folder.join(path)) {
        None => Some(format!("`{target}` leads out of the repository")),
        Some(path) if exists(&path) => None,
        Some(path) => Some(format!("`{target}` leads to {}, which is not there", path.display())),
    }
}

/// The path without `.` and `..`; `None` when it leaves the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if !normal.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            part => normal.push(part),
        }
    }
    Some(normal)
}

/// The targets of `[text](target)` and `[name]: target`, outside of inline code.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    if let Some((name, target)) = line.split_once("]: ")
        && name.starts_with('[')
        && !name.starts_with("[^")
    {
        targets.extend(target.split_whitespace().next());
    }
    let mut code = false;
    let mut rest = line;
    while let Some(at) = rest.find(['`', ']']) {
        let mark = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        if mark == b'`' {
            code = !code;
        } else if !code && let Some(inside) = rest.strip_prefix('(') {
            let target = inside.split([')', ' ']).next().unwrap_or_default();
            targets.push(target.trim_start_matches('<').trim_end_matches('>'));
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<usize> {
        let there = ["docs/A.md", "README.md", "docs"];
        let exists = |path: &Path| there.iter().any(|known| Path::new(known) == path);
        check("docs/B.md", text, exists).into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn links_lead_somewhere() {
        let good = "[a](A.md) [b](../README.md#part \"title\") [c](https://x.org/y) [d](#here) [e](../docs) [f](<A.md>)\n[g]: A.md\n";
        assert!(broken(good).is_empty());
        assert_eq!(
            broken("\n[a](C.md) and [`b`](A.md)\n[c](../../x)\n[d](/etc/passwd)\n[e]: C.md"),
            [2, 3, 4, 5]
        );
    }

    #[test]
    fn code_is_not_looked_at() {
        assert!(broken("```c\nx[0](C.md)\n```\n`x[0](C.md)` and [^1]: C.md\n").is_empty());
    }
}
