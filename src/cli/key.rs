//! `key`: the local key that signs bundles, and where it lies.

use super::args::{Global, KeyCommand};
use super::documents::KeyShown;
use super::error::CliError;
use super::render::Screen;
use super::session::{Session, screen};
use crate::bundle::keys::{KeyError, PublicKey, SigningKey};
use crate::bundle::signer::Signer as _;
use crate::engine::sealing::kms::KmsSigner;
use crate::model::outcome::Outcome;
use std::path::PathBuf;

pub async fn key(global: &Global, command: KeyCommand) -> Result<Outcome, CliError> {
    let screen = screen(global);
    match command {
        KeyCommand::New { out } => {
            let path = place(out)?;
            let key = SigningKey::make(&path).map_err(|e| cannot("cannot make a key".into(), e))?;
            show(screen, Some(path.clone()), None, key.public());
            screen.remark(&format!(
                "\nThe private key lies in {}. Whoever has it can sign in your name; keep a copy where you keep keys.",
                path.display()
            ));
            screen.remark("Give the fingerprint to those who will verify your bundles, by another way than the bundles themselves.");
        }
        KeyCommand::Show { file: None, kms_key: Some(key) } => {
            let session = Session::connect(global).await?;
            let signer = KmsSigner::connect(&session.connector, &key).await.map_err(|e| {
                let hint = e.hint();
                CliError::new("cannot show the KMS key").because(e).hint(hint)
            })?;
            show(screen, None, Some(key.arn().to_string()), signer.public_key());
        }
        KeyCommand::Show { file, .. } => {
            let path = place(file)?;
            // What holds a private key is shown by its public half.
            let public = match SigningKey::read(&path) {
                Ok(key) => Ok(key.public().clone()),
                Err(KeyError::NotPem(_)) => PublicKey::read(&path),
                Err(e) => Err(e),
            };
            let public = public.map_err(|e| cannot("cannot show the key".into(), e))?;
            show(screen, Some(path), None, &public);
        }
    }
    Ok(Outcome::Complete)
}

fn show(screen: Screen, path: Option<PathBuf>, arn: Option<String>, key: &PublicKey) {
    screen.text(key.to_pem().trim_end());
    screen.text(&format!("fingerprint {}", key.fingerprint()));
    screen.document(&KeyShown { v: 1, path, arn, fingerprint: key.fingerprint(), public_key: key.to_pem() });
}

pub fn cannot(what: String, error: KeyError) -> CliError {
    let hint = error.hint();
    let mut face = CliError::new(what).because(error);
    face.hints.extend(hint.map(str::to_string));
    face
}

/// What was named, or the place where `key new` makes a key.
fn place(named: Option<PathBuf>) -> Result<PathBuf, CliError> {
    named.or_else(default_place).ok_or_else(|| {
        CliError::new("cannot tell where the key lies: neither XDG_CONFIG_HOME nor HOME is set")
            .hint("name the file")
            .outcome(Outcome::Usage)
    })
}

/// As the XDG base directory specification has it; a relative path there is to be ignored.
fn default_place() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("freezeframe/sign-key.pem"))
}

/// The key that `key new` made, if it did.
pub fn found() -> Option<PathBuf> {
    default_place().filter(|p| std::fs::symlink_metadata(p).is_ok())
}
