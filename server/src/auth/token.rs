//! A token: `flt_⟨id⟩_⟨secret⟩`. The id is public and names it in logs and in the audit; the
//! secret is 256 random bits.
//!
//! Only a hash of the secret is kept. It is a plain one: stretching protects what people choose,
//! and nobody guesses 256 bits. Hashes are compared in constant time, by [`Secret::matches`] and
//! nowhere else: [`SecretHash`] has no other comparison.

use std::fmt;
use std::str::FromStr;

use events::TokenId;
use rand::Rng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

const PREFIX: &str = "flt_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
const HASH_SCHEME: &str = "blake3:";

/// The secret part of a token that someone showed. It is never printed.
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// Whether `hash` is of this secret; takes as long whether it is or not.
    pub fn matches(&self, hash: &SecretHash) -> bool {
        self.hash().0.ct_eq(&hash.0).into()
    }

    fn hash(&self) -> SecretHash {
        SecretHash(*blake3::hash(&self.0).as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What is kept of a secret. There is no `==` on purpose; see [`Secret::matches`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// A hash that no known secret has, to compare with when there is no other.
    pub(crate) fn of_nobody() -> Self {
        Self([0; 32])
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        format!("{HASH_SCHEME}{}", hex(&hash.0))
    }
}

/// A text that is no hash of a token.
#[derive(Debug, thiserror::Error)]
#[error("expected \"blake3:\" and 64 hexadecimal digits")]
pub struct InvalidHash;

impl TryFrom<String> for SecretHash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.strip_prefix(HASH_SCHEME).and_then(unhex).map(Self).ok_or(InvalidHash)
    }
}

/// A token as someone shows it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) id: TokenId,
    pub(crate) secret: Secret,
}

/// A text that is no token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoToken;

impl FromStr for Shown {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let (id, secret) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(NoToken)?;
        unhex::<ID_BYTES>(id).ok_or(NoToken)?;
        Ok(Self {
            id: TokenId::new(id).map_err(|_| NoToken)?,
            secret: Secret(unhex(secret).ok_or(NoToken)?),
        })
    }
}

/// A token in the one moment in which it is known whole.
pub struct NewToken {
    /// Its public part.
    pub id: TokenId,
    /// What is kept of it.
    pub hash: SecretHash,
    secret: Secret,
}

impl NewToken {
    /// A token of fresh random bits.
    pub fn generate() -> Self {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        // The thread's generator is a cryptographic one, seeded by the system.
        let mut random = rand::rng();
        random.fill_bytes(&mut id);
        random.fill_bytes(&mut secret);
        let secret = Secret(secret);
        let id = TokenId::new(hex(&id)).expect("twelve digits make a token id");
        Self { id, hash: secret.hash(), secret }
    }

    /// The token, to be shown once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, hex(&self.secret.0))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_again_by_its_hash_alone() {
        let token = NewToken::generate();
        let kept: String = token.hash.clone().into();
        let shown: Shown = token.reveal().parse().expect("a token");
        assert_eq!(shown.id, token.id);
        assert!(shown.secret.matches(&kept.clone().try_into().expect("a hash")));
        assert!(!NewToken::generate().secret.matches(&token.hash));
        assert!(!shown.secret.matches(&SecretHash::of_nobody()));
        let secret = token.reveal().rsplit('_').next().expect("a secret").to_owned();
        assert!(!kept.contains(&secret));
        assert_eq!(format!("{:?} {:?}", shown.secret, token.hash), "Secret SecretHash");
    }

    #[test]
    fn one_changed_digit_is_another_token() {
        let token = NewToken::generate();
        let text = token.reveal();
        for place in [text.len() - 1, text.len() - 64] {
            let digit = if text.as_bytes()[place] == b'0' { "1" } else { "0" };
            let mut other = text.clone();
            other.replace_range(place..=place, digit);
            let shown: Shown = other.parse().expect("still a token");
            assert!(!shown.secret.matches(&token.hash), "digit {place}");
        }
    }

    #[test]
    fn what_is_no_token_is_not_compared() {
        let token = NewToken::generate().reveal();
        let texts = [
            "",
            "flt_",
            "flt__",
            "flt_abc_def",
            &token[..token.len() - 1],
            &format!("{token}0"),
            &token.to_uppercase(),
            &token.replace("flt_", "ghp_"),
            "flt_é00000000000_é",
        ];
        for text in texts {
            assert_eq!(text.parse::<Shown>().err(), Some(NoToken), "{text:?}");
        }
    }

    /// The comparison in constant time is the only one that compiles: the hash offers no other.
    #[test]
    fn hashes_have_no_comparison_of_their_own() {
        trait NotComparable {
            const COMPARABLE: bool = false;
        }
        impl<T> NotComparable for Probe<T> {}
        struct Probe<T>(std::marker::PhantomData<T>);
        impl<T: PartialEq> Probe<T> {
            #[allow(dead_code, reason = "found instead of the trait's when T has ==")]
            const COMPARABLE: bool = true;
        }
        const { assert!(Probe::<[u8; 32]>::COMPARABLE) };
        const { assert!(!Probe::<SecretHash>::COMPARABLE) };
        const { assert!(!Probe::<Secret>::COMPARABLE) };
    }
}
