//! RSA keys: read from whatever form they come in, and signing through aws-lc-rs.
//!
//! The SSH crate's own RSA needs the `rsa` crate, whose timing leaks keys (RUSTSEC-2023-0071, ADR 0024).
//!
//! The one law: no private RSA operation happens outside aws-lc-rs.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512};
use russh::AgentAuthError;
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::private::RsaKeypair;
use russh::keys::ssh_key::public::{KeyData, RsaPublicKey};
use russh::keys::ssh_key::{Mpint, PublicKey};
use russh::keys::{Algorithm, HashAlg};

/// An RSA key that can sign.
pub(crate) struct RsaKey {
    pair: KeyPair,
    public: PublicKey,
}

impl RsaKey {
    /// From the body of a `RSA PRIVATE KEY` block.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Option<Self> {
        Self::of(KeyPair::from_der(der).ok()?)
    }

    /// From the body of a `PRIVATE KEY` block, when it holds an RSA key.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        Self::of(KeyPair::from_pkcs8(der).ok()?)
    }

    /// From the key of an `OPENSSH PRIVATE KEY` block.
    pub(crate) fn from_openssh(key: &RsaKeypair) -> Option<Self> {
        let (public, private) = (key.public(), key.private());
        let d = private.d().as_positive_bytes()?;
        let p = private.p().as_positive_bytes()?;
        let q = private.q().as_positive_bytes()?;
        let (d_p, d_q) = (remainder(d, &minus_one(p)), remainder(d, &minus_one(q)));
        let pair = KeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents {
                n: public.n().as_positive_bytes()?,
                e: public.e().as_positive_bytes()?,
            },
            d,
            p,
            q,
            dP: d_p.as_slice(),
            dQ: d_q.as_slice(),
            qInv: private.iqmp().as_positive_bytes()?,
        });
        Self::of(pair.ok()?)
    }

    fn of(pair: KeyPair) -> Option<Self> {
        let known = pair.public_key();
        let e = Mpint::from_positive_bytes(known.exponent().big_endian_without_leading_zero());
        let n = Mpint::from_positive_bytes(known.modulus().big_endian_without_leading_zero());
        let public = PublicKey::from(KeyData::Rsa(RsaPublicKey::new(e, n).ok()?));
        Some(Self { pair, public })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, hash: HashAlg, text: &[u8]) -> Option<Vec<u8>> {
        let padding = if hash == HashAlg::Sha512 {
            &RSA_PKCS1_SHA512
        } else {
            &RSA_PKCS1_SHA256
        };
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self
            .pair
            .sign(padding, &SystemRandom::new(), text, &mut signature);
        signed.ok().map(|()| signature)
    }
}

/// Signs one authentication.
pub(crate) struct RsaSigner<'a>(pub(crate) &'a RsaKey);

impl russh::Signer for RsaSigner<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let hash = hash.unwrap_or(HashAlg::Sha256);
        let signature = self
            .0
            .sign(hash, &to_sign)
            .ok_or(AgentAuthError::Key(russh::keys::Error::CouldNotReadKey))?;
        let name = Algorithm::Rsa { hash: Some(hash) };
        let mut blob = Vec::new();
        put_string(&mut blob, name.as_str().as_bytes());
        put_string(&mut blob, &signature);
        put_string(&mut to_sign, &blob);
        Ok(to_sign)
    }
}

fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text);
}

/// An odd number less one.
fn minus_one(odd: &[u8]) -> Vec<u8> {
    let mut even = odd.to_vec();
    if let Some(last) = even.last_mut() {
        *last &= 0xFE;
    }
    even
}

/// `number mod divisor`, both big-endian, by long division bit by bit: an OpenSSH key does not hold the two exponents
/// that the signer wants. It runs once per connection, on no path that a peer can time.
fn remainder(number: &[u8], divisor: &[u8]) -> Vec<u8> {
    let mut rest = vec![0_u8; divisor.len() + 1];
    let wide: Vec<u8> = std::iter::once(0).chain(divisor.iter().copied()).collect();
    for byte in number {
        for bit in (0..8).rev() {
            let mut carry = (byte >> bit) & 1;
            for place in rest.iter_mut().rev() {
                let next = *place >> 7;
                *place = (*place << 1) | carry;
                carry = next;
            }
            if rest >= wide {
                subtract(&mut rest, &wide);
            }
        }
    }
    rest.split_off(1)
}

fn subtract(from: &mut [u8], less: &[u8]) {
    let mut borrow = false;
    for (place, less) in from.iter_mut().zip(less).rev() {
        let (once, under) = place.overflowing_sub(*less);
        let (twice, again) = once.overflowing_sub(u8::from(borrow));
        *place = twice;
        borrow = under || again;
    }
}

#[cfg(test)]
mod tests {
    use super::remainder;

    #[test]
    fn a_remainder_is_that_of_whole_numbers() {
        for (number, divisor) in [
            (0_u64, 7_u64),
            (6, 7),
            (7, 7),
            (u64::MAX, 3),
            (1 << 40, 65_537),
            (u64::MAX, u64::MAX - 1),
        ] {
            let rest = remainder(&number.to_be_bytes(), &divisor.to_be_bytes());
            assert_eq!(
                rest,
                (number % divisor).to_be_bytes(),
                "{number} mod {divisor}"
            );
        }
    }
}
