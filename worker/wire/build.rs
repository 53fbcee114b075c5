//! Gives this build's vocabulary a name: a hash over the crate's sources. Two binaries understand each other when they were built from the same ones.

use std::path::Path;

/// FNV-1a, 64 bits: it tells builds apart, and is no protection from anybody.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

fn add(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// All files below, in the order of their names.
fn add_all(hash: u64, dir: &Path) -> std::io::Result<u64> {
    let mut paths: Vec<_> =
        std::fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    paths.iter().try_fold(hash, |hash, path| {
        if path.is_dir() { add_all(hash, path) } else { Ok(add(hash, &std::fs::read(path)?)) }
    })
}

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rustc-env=CROUPIER_VOCABULARY={:016x}", add_all(OFFSET, Path::new("src"))?);
    Ok(())
}
