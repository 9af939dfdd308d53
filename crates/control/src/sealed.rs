//! Secrets that must be read back, encrypted under a key that is kept outside the database.
//!
//! AES-256-GCM with a random nonce. The purpose is part of what is authenticated, so that a sealed text moved
//! to another column or row does not open there. A sealed text reads `v1:` and base64 of the key's
//! identifier (8 bytes), the nonce (12), the ciphertext and the tag (16).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::error::ControlError;
use crate::secret::random;

const VERSION: &str = "v1:";
const ID_BYTES: usize = 8;
const KEY_BYTES: usize = 32;

/// Bytes of a code below which it could be guessed.
const CODE_BYTES_MIN: usize = 16;

/// Longest text that is sealed: a private key with room to spare.
pub(crate) const PLAIN_BYTES_MAX: usize = 64 << 10;

/// Keys a file may hold: the one that seals, and older ones that still open.
const KEYS_MAX: usize = 16;

/// The master keys. Clones share them; debugging prints none.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<[Key]>,
}

struct Key {
    id: [u8; ID_BYTES],
    cipher: RandomizedNonceKey,
    signer: hmac::Key,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys.len()).finish()
    }
}

impl Keyring {
    /// Reads the keys of a file, which is made with one new key if it is missing, readable by its owner only.
    ///
    /// A line is one key, 32 bytes in base64; empty lines and those that begin with `#` are skipped. The
    /// first key seals, all of them open: to rotate, put a new line on top.
    pub fn open(file: &Path) -> Result<Self, ControlError> {
        let failed = |message: String| ControlError::KeyFile { file: file.display().to_string(), message };
        let io = |error: io::Error| failed(error.to_string());
        if !file.try_exists().map_err(io)? {
            create(file, &STANDARD.encode(random::<KEY_BYTES>()?)).map_err(io)?;
        }
        refuse_shared(file).map_err(io)?;
        let text = fs::read_to_string(file).map_err(io)?;
        let lines = text.lines().map(str::trim).enumerate();
        let mut keys = Vec::new();
        for (n, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let bytes = STANDARD.decode(line).ok().filter(|bytes| bytes.len() == KEY_BYTES);
            // The line itself may be a key with a typing error: it is not repeated.
            let bytes = bytes.ok_or_else(|| {
                failed(format!(
                    "line {} is not 32 bytes in base64; `openssl rand -base64 32` makes a key",
                    n + 1
                ))
            })?;
            keys.push(Key::new(&bytes));
        }
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(failed(format!("holds {} keys; it must hold 1 to {KEYS_MAX}", keys.len())));
        }
        Ok(Self { keys: keys.into() })
    }

    /// One new key that is kept nowhere: what it seals cannot be read after the process ends.
    pub fn ephemeral() -> Result<Self, ControlError> {
        Ok(Self { keys: [Key::new(&random::<KEY_BYTES>()?)].into() })
    }

    /// Encrypts `plain`. The same purpose opens it again; make it name the row, such as `totp/user_1`.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<String, ControlError> {
        if plain.len() > PLAIN_BYTES_MAX {
            let message = format!("has {} bytes; at most {PLAIN_BYTES_MAX} can be sealed", plain.len());
            return Err(ControlError::Invalid { field: "secret", message });
        }
        let key = self.keys.first().expect("a keyring holds at least one key");
        let mut body = plain.to_vec();
        let nonce = key
            .cipher
            .seal_in_place_append_tag(Aad::from(purpose), &mut body)
            .expect("AES-GCM seals texts below 64 GB");
        let sealed = [&key.id[..], nonce.as_ref(), &body].concat();
        Ok(format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Decrypts what [`Keyring::seal`] made under the same purpose.
    pub fn unseal(&self, purpose: &str, sealed: &str) -> Result<Vec<u8>, ControlError> {
        let damaged =
            |message: &str| ControlError::Damaged { what: "sealed secret", message: message.to_owned() };
        let bytes = sealed.strip_prefix(VERSION).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let bytes = bytes.filter(|bytes| bytes.len() > ID_BYTES + NONCE_LEN);
        let mut bytes = bytes.ok_or_else(|| damaged("it does not begin with v1: and base64"))?;
        let key = self.keys.iter().find(|key| key.id == bytes[..ID_BYTES]).ok_or_else(|| {
            damaged("the key that sealed it is not in the key file; put the old key on a line of its own")
        })?;
        let nonce = Nonce::try_assume_unique_for_key(&bytes[ID_BYTES..ID_BYTES + NONCE_LEN])
            .expect("the slice has the length of a nonce");
        let body = &mut bytes[ID_BYTES + NONCE_LEN..];
        let opened = key.cipher.open_in_place(nonce, Aad::from(purpose), body);
        Ok(opened.map_err(|_| damaged("it was changed, or belongs to another row"))?.to_vec())
    }

    /// A code that nobody else can make for these words under this purpose: 32 bytes, always the same (HMAC-SHA256).
    pub fn sign(&self, purpose: &str, words: &str) -> Vec<u8> {
        let key = self.keys.first().expect("a keyring holds at least one key");
        hmac::sign(&key.signer, signed(purpose, words).as_bytes()).as_ref().to_vec()
    }

    /// Whether [`Keyring::sign`] made a code that begins like this, at least 16 bytes of it, under any of the keys.
    /// Compares in constant time.
    pub fn verify(&self, purpose: &str, words: &str, code: &[u8]) -> bool {
        let text = signed(purpose, words);
        let is_its = |key: &Key| {
            let whole = hmac::sign(&key.signer, text.as_bytes());
            let start = whole.as_ref().get(..code.len());
            start.is_some_and(|start| constant_time::verify_slices_are_equal(start, code).is_ok())
        };
        code.len() >= CODE_BYTES_MIN && self.keys.iter().any(is_its)
    }

    /// True when `sealed` was made by a key that no longer seals, so that it is worth sealing again.
    pub fn is_old(&self, sealed: &str) -> bool {
        let bytes = sealed.strip_prefix(VERSION).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        bytes.is_some_and(|bytes| !bytes.starts_with(&self.keys[0].id))
    }
}

/// What is signed: the length keeps the two apart.
fn signed(purpose: &str, words: &str) -> String {
    format!("{}:{purpose}{words}", purpose.len())
}

impl Key {
    fn new(bytes: &[u8]) -> Self {
        let digest = Sha256::new().chain_update("bellwether key id").chain_update(bytes).finalize();
        let id = digest[..ID_BYTES].try_into().expect("the slice has that length");
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("the key has 32 bytes");
        let signer = Sha256::new().chain_update("bellwether mac key").chain_update(bytes).finalize();
        Self { id, cipher, signer: hmac::Key::new(hmac::HMAC_SHA256, &signer) }
    }
}

/// Writes the file whole or not at all. Of two processes that start together one makes it.
fn create(file: &Path, line: &str) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = format!(".secret.key.{}.{:016x}", std::process::id(), nonce_of_name());
    let unfinished = folder.join(name);
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let result = options.open(&unfinished).and_then(|mut out| {
        writeln!(out, "{line}")?;
        out.sync_all()?;
        // Unlike a rename, a link does not replace what another process put there meanwhile.
        match fs::hard_link(&unfinished, file) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => File::open(folder)?.sync_all(),
        }
    });
    let removed = fs::remove_file(&unfinished);
    result.and(removed)
}

/// Tells files of threads of one process apart.
fn nonce_of_name() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(unix)]
fn refuse_shared(file: &Path) -> io::Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file)?.permissions());
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let message = format!("others can read it (mode {:03o}); run `chmod 600` on it", mode & 0o777);
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_purpose_only() {
        let keyring = Keyring::ephemeral().unwrap();
        let (a, b) = (keyring.seal("totp/1", b"s3cret").unwrap(), keyring.seal("totp/1", b"s3cret").unwrap());
        assert!(a.starts_with("v1:") && a != b, "each has a nonce of its own");
        assert_eq!(keyring.unseal("totp/1", &a).unwrap(), b"s3cret");
        assert_eq!(keyring.unseal("", &keyring.seal("", b"").unwrap()).unwrap(), b"");
        assert!(keyring.unseal("totp/2", &a).is_err());
        assert!(Keyring::ephemeral().unwrap().unseal("totp/1", &a).is_err());
        let mut bytes = URL_SAFE_NO_PAD.decode(&a[3..]).unwrap();
        for n in 0..bytes.len() {
            bytes[n] ^= 1;
            assert!(keyring.unseal("totp/1", &format!("v1:{}", URL_SAFE_NO_PAD.encode(&bytes))).is_err());
            bytes[n] ^= 1;
        }
        for text in ["", "v1:", "v2:AAAA", "v1:AAAA", "v1:é", &a[..a.len() - 4]] {
            assert!(keyring.unseal("totp/1", text).is_err(), "{text}");
        }
        assert!(keyring.seal("x", &vec![0; PLAIN_BYTES_MAX + 1]).is_err());
        assert_eq!(format!("{keyring:?}"), "Keyring { keys: 1 }");
    }

    #[test]
    fn a_code_is_for_its_words_and_purpose_under_any_key_of_the_ring() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        let keyring = Keyring::open(&file).unwrap();
        let code = keyring.sign("push", "a/1");
        assert_eq!(code, keyring.sign("push", "a/1"));
        for (purpose, words, code, want) in [
            ("push", "a/1", &code[..], true),
            ("push", "a/2", &code[..], false),
            ("pus", "ha/1", &code[..], false),
            ("push", "a/1", &code[..18], true),
            ("push", "a/1", &code[..15], false),
            ("push", "a/1", &[], false),
        ] {
            assert_eq!(keyring.verify(purpose, words, code), want, "{purpose} {words}");
        }
        assert!(!Keyring::ephemeral().unwrap().verify("push", "a/1", &code));
        let old = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{}\n{old}", STANDARD.encode([7; KEY_BYTES]))).unwrap();
        let rotated = Keyring::open(&file).unwrap();
        assert!(rotated.verify("push", "a/1", &code) && rotated.sign("push", "a/1") != code);
    }

    #[test]
    fn the_file_is_made_once_is_private_and_survives_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data/secret.key");
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| Keyring::open(&file).unwrap());
            }
        });
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = Keyring::open(&file).unwrap().seal("p", b"x").unwrap();

        let old = fs::read_to_string(&file).unwrap();
        let new = STANDARD.encode([7; KEY_BYTES]);
        fs::write(&file, format!("# rotated\n{new}\n\n{old}")).unwrap();
        let keyring = Keyring::open(&file).unwrap();
        assert_eq!(keyring.unseal("p", &sealed).unwrap(), b"x");
        assert!(keyring.is_old(&sealed) && !keyring.is_old(&keyring.seal("p", b"x").unwrap()));

        fs::write(&file, &new).unwrap();
        let error = Keyring::open(&file).unwrap().unseal("p", &sealed).unwrap_err().to_string();
        assert!(error.contains("is not in the key file"), "{error}");
    }

    #[test]
    fn files_that_others_can_read_or_that_hold_no_key_are_refused_without_showing_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        let check = |text: &str, mode: u32, want: &str| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let error = Keyring::open(&file).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
            assert!(!error.to_string().contains("c2VjcmV0"));
            assert_eq!(error.remedy(), crate::Remedy::FixConfig);
        };
        check(
            &STANDARD.encode([7; KEY_BYTES]),
            0o640,
            "others can read it (mode 640); run `chmod 600` on it",
        );
        check("# nothing\n", 0o600, "holds 0 keys; it must hold 1 to 16");
        check("c2VjcmV0\n", 0o600, "line 1 is not 32 bytes in base64");
    }
}
