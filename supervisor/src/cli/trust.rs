//! `croupier keygen`, `sign`, `verify`, `trust`: keys, signatures, and whom this machine trusts. All of it without a supervisor.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use croupier::dates;
use croupier::registry::trust::minisign::{KeyId, Malformed, PublicKey, SecretKey, Signature};
use croupier::registry::trust::policy::Terms;
use croupier::registry::trust::store::{DIRECTORY, Store, StoreError};
use croupier::registry::trust::{read_text, signature_path};
use serde_json::json;

use super::Common;
use super::audit::StateDir;
use super::fail::{Failure, Stop};
use super::out::{Form, Out};

/// Arguments of `keygen`.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The secret key's file, not there yet; the public key goes beside it, as FILE.pub
    file: PathBuf,
}

/// Arguments of `sign`.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// What to sign: a plugin, or with --expires an author's public key
    file: PathBuf,
    /// The secret key, as `croupier keygen` or `minisign -G -W` made it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The trusted comment; by default the file's name and the time
    #[arg(long, value_name = "TEXT", conflicts_with = "expires")]
    comment: Option<String>,
    /// Vouch for an author's key until this day (UTC)
    #[arg(long, value_name = "DATE", requires = "plugins")]
    expires: Option<String>,
    /// The plugins that the author may sign, `*` for any run of characters: craps,acme-*
    #[arg(long, value_name = "NAMES", requires = "expires")]
    plugins: Option<String>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The plugin; its signature lies beside it, as FILE.minisig
    file: PathBuf,
    /// Verify with this public key alone, whoever is trusted
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Where the trusted keys are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The directory of trusted keys; `trust` in the state directory when not said
    #[arg(long, value_name = "DIR")]
    trust_dir: Option<PathBuf>,
    #[command(flatten)]
    state: StateDir,
}

/// Arguments of `trust`.
#[derive(Debug, Args)]
pub(crate) struct Trust {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Trust a root key; or an author's key, when FILE.minisig beside it is a root's certificate
    Add {
        /// The public key's file
        file: PathBuf,
        /// Trust it as a root, though a certificate lies beside it
        #[arg(long)]
        root: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List trusted and revoked keys
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a key for good; of a root, everything that it vouched for
    Revoke {
        /// The key's id, 16 hexadecimal digits
        id: KeyId,
        #[command(flatten)]
        place: Place,
    },
}

impl Place {
    fn store(&self, common: &Common) -> Store {
        Store::new(self.trust_dir.clone().unwrap_or_else(|| self.state.find(common).join(DIRECTORY)))
    }
}

impl Keygen {
    pub(crate) fn run(&self, out: &mut Out) -> Result<(), Stop> {
        let random = croupier::entropy::bytes();
        let id = croupier::entropy::bytes();
        let id = KeyId(std::array::from_fn(|at| id[at]));
        let key = SecretKey::from_seed(id, random);
        let public = self.file.with_added_extension("pub");
        create(&self.file, &key.file(), 0o600)?;
        create(&public, &key.public().file(), 0o644)?;
        match out.form() {
            Form::Json => out.json(&json!({ "id": id.to_string(), "secret": self.file, "public": public })),
            Form::Human => {
                out.line(&format!("key {id}: secret {}, public {}", self.file.display(), public.display()))?;
                out.line("the secret has no password: its file's mode (0600) is all that protects it; keep it off this machine if you can")
            }
        }
    }
}

impl Sign {
    pub(crate) fn run(&self, out: &mut Out) -> Result<(), Stop> {
        let secret = SecretKey::parse(&text(&self.key)?).map_err(|error| malformed(&self.key, &error))?;
        let bytes = std::fs::read(&self.file).map_err(|error| unreadable(&self.file, &error))?;
        let comment = match (&self.expires, &self.plugins) {
            (Some(expires), Some(plugins)) => {
                PublicKey::parse(&text(&self.file)?).map_err(|error| malformed(&self.file, &error))?;
                terms(expires, plugins)?.comment()
            }
            _ => self.comment.clone().unwrap_or_else(|| self.usual_comment()),
        };
        let signature = secret.sign(&bytes, &comment).map_err(|error| malformed(&self.file, &error))?;
        let path = signature_path(&self.file);
        std::fs::write(&path, signature.file()).map_err(|error| unwritable(&path, &error))?;
        match out.form() {
            Form::Json => {
                out.json(&json!({ "key": signature.key.to_string(), "signature": path, "comment": comment }))
            }
            Form::Human => {
                out.line(&format!("signed with key {}: {} ({comment})", signature.key, path.display()))
            }
        }
    }

    fn usual_comment(&self) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = self.file.file_name().unwrap_or_default().to_string_lossy().replace(['\n', '\r'], "?");
        format!("timestamp:{}\tfile:{name}\thashed", now.as_secs())
    }
}

fn terms(expires: &str, plugins: &str) -> Result<Terms, Stop> {
    let day = dates::parse(expires);
    let day =
        day.ok_or_else(|| Failure::new("usage", "--expires is no date", "write it as in 2027-11-21"))?;
    let wanted = Terms { expires_s: day, plugins: plugins.split(',').map(str::to_owned).collect() };
    // As whoever reads the certificate will read it.
    Ok(Terms::parse(&wanted.comment()).map_err(|error| Failure::new("usage", error.to_string(), ""))?)
}

impl Verify {
    pub(crate) fn run(&self, common: &Common, out: &mut Out) -> Result<(), Stop> {
        let bytes = std::fs::read(&self.file).map_err(|error| unreadable(&self.file, &error))?;
        let signature = text(&signature_path(&self.file))?;
        let (key, comment) = match &self.key {
            Some(path) => with_key(&bytes, &signature, path)?,
            None => self.with_trust(&bytes, &signature, common)?,
        };
        match out.form() {
            Form::Json => out.json(&json!({ "ok": true, "key": key.to_string(), "comment": comment })),
            Form::Human => out.line(&format!("good, by key {key}: {comment}")),
        }
    }

    fn with_trust(&self, bytes: &[u8], signature: &str, common: &Common) -> Result<(KeyId, String), Stop> {
        let keys = self.place.store(common).read().map_err(|error| store_failed(&error))?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let bad =
            |text: String| Failure::new("bad-signature", format!("{}: {text}", self.file.display()), "");
        let signer =
            keys.trust.verify(bytes, signature, now.as_secs()).map_err(|error| bad(error.to_string()))?;
        let plugin = croupier_manifest::read_plugin(bytes).map_err(|error| bad(error.to_string()))?;
        signer.may_sign(plugin.manifest.name.as_str()).map_err(|error| bad(error.to_string()))?;
        Ok((signer.key, signer.comment))
    }
}

fn with_key(bytes: &[u8], signature: &str, path: &Path) -> Result<(KeyId, String), Stop> {
    let key = PublicKey::parse(&text(path)?).map_err(|error| malformed(path, &error))?;
    let signature = Signature::parse(signature).map_err(|error| malformed(path, &error))?;
    if signature.key != key.id || !key.verifies(bytes, &signature) {
        let text =
            format!("the signature, by key {}, is not by key {} over this file", signature.key, key.id);
        return Err(Failure::new("bad-signature", text, "").into());
    }
    Ok((key.id, signature.comment))
}

impl Trust {
    pub(crate) fn run(&self, common: &Common, out: &mut Out) -> Result<(), Stop> {
        match &self.what {
            What::Add { file, root, place } => add(file, *root, &place.store(common), out),
            What::List { place } => list(&place.store(common), out),
            What::Revoke { id, place } => {
                place.store(common).revoke(*id).map_err(|error| store_failed(&error))?;
                match out.form() {
                    Form::Json => out.json(&json!({ "ok": true })),
                    Form::Human => {
                        out.line(&format!("revoked {id}: it counts from the next load on; what is loaded runs until it is unloaded, and a supervisor that runs names it"))
                    }
                }
            }
        }
    }
}

fn add(file: &Path, root: bool, store: &Store, out: &mut Out) -> Result<(), Stop> {
    let (key, certificate) = (text(file)?, signature_path(file));
    let line = if root || !certificate.exists() {
        let key = store.add_root(&key).map_err(|error| store_failed(&error))?;
        format!("trusted {} as a root: it may sign any plugin, and vouch for authors", key.id)
    } else {
        let author = store.add_author(&key, &text(&certificate)?).map_err(|error| store_failed(&error))?;
        let (id, terms) = (author.key.id, author.terms);
        format!(
            "trusted {id} for {}, until {}, as root {} says",
            terms.plugins.join(", "),
            terms.day(),
            author.root
        )
    };
    match out.form() {
        Form::Json => out.json(&json!({ "ok": true })),
        Form::Human => out.line(&line),
    }
}

fn list(store: &Store, out: &mut Out) -> Result<(), Stop> {
    let trust = store.read().map_err(|error| store_failed(&error))?.trust;
    if out.form() == Form::Json {
        let authors = trust.authors.iter().map(|author| {
            json!({
                "id": author.key.id.to_string(), "root": author.root.to_string(),
                "expires": author.terms.day(), "plugins": author.terms.plugins,
            })
        });
        return out.json(&json!({
            "roots": trust.roots.iter().map(|key| key.id.to_string()).collect::<Vec<_>>(),
            "authors": authors.collect::<Vec<_>>(),
            "revoked": trust.revoked.iter().map(|revoked| revoked.id.to_string()).collect::<Vec<_>>(),
        }));
    }
    if trust.roots.is_empty() && trust.revoked.is_empty() {
        return out.line("no key is trusted; `croupier trust add FILE.pub` adds one");
    }
    for key in &trust.roots {
        out.line(&format!("root     {}", key.id))?;
    }
    for author in &trust.authors {
        let (id, root, terms) = (author.key.id, author.root, &author.terms);
        out.line(&format!(
            "author   {id}  until {}, for {}, by root {root}",
            terms.day(),
            terms.plugins.join(", ")
        ))?;
    }
    trust.revoked.iter().try_for_each(|revoked| out.line(&format!("revoked  {}", revoked.id)))
}

fn text(path: &Path) -> Result<String, Stop> {
    read_text(path).map_err(|error| unreadable(path, &error).into())
}

/// Writes a file that must not be there yet.
fn create(path: &Path, text: &str, mode: u32) -> Result<(), Stop> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| unwritable(path, &error).into())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("no-file", format!("cannot read {}: {error}", path.display()), "")
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        "output",
        format!("cannot write {}: {error}", path.display()),
        "name a file that does not exist yet",
    )
}

fn malformed(path: &Path, error: &Malformed) -> Failure {
    Failure::new("malformed", format!("{}: {error}", path.display()), "")
}

fn store_failed(error: &StoreError) -> Failure {
    Failure::new("trust", error.to_string(), "")
}
