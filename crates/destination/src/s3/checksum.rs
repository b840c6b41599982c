//! Checksums of parts and of whole objects. They travel with the bytes, so that the store refuses what was damaged.
//!
//! The one law: a whole object's sum is combined from its parts' sums; no byte is summed twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum, checksum_combine};
use serde::{Deserialize, Serialize};

/// Which sum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    /// The 64-bit sum that Amazon S3 computes itself for every object.
    Crc64Nvme,
    /// The 32-bit Castagnoli sum.
    Crc32c,
}

impl Algorithm {
    const fn crc(self) -> CrcAlgorithm {
        match self {
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
        }
    }

    /// The name in headers' values.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32c => "CRC32C",
        }
    }

    /// The header that carries the sum.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Crc32c => "x-amz-checksum-crc32c",
        }
    }

    /// The element that carries a part's sum.
    pub(crate) const fn element(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "ChecksumCRC64NVME",
            Self::Crc32c => "ChecksumCRC32C",
        }
    }

    /// The sum of these bytes.
    pub(crate) fn of(self, bytes: &[u8]) -> Sum {
        Sum {
            algorithm: self,
            value: checksum(self.crc(), bytes),
        }
    }
}

/// The sum of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    algorithm: Algorithm,
    value: u64,
}

impl Sum {
    pub(crate) const fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// The sum of these bytes and then `next`'s, of which there are `length`.
    pub(crate) fn then(self, next: Self, length: u64) -> Self {
        Self {
            algorithm: self.algorithm,
            value: checksum_combine(self.algorithm.crc(), self.value, next.value, length),
        }
    }

    /// The sum as the stores write it: base64 of its big-endian bytes.
    pub(crate) fn base64(self) -> String {
        let bytes = self.value.to_be_bytes();
        let width = match self.algorithm {
            Algorithm::Crc64Nvme => 8,
            Algorithm::Crc32c => 4,
        };
        STANDARD.encode(bytes.get(8 - width..).unwrap_or(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Algorithm;

    #[test]
    fn sums_are_written_as_the_stores_write_them() {
        // The catalogue's check values for "123456789".
        assert_eq!(Algorithm::Crc32c.of(b"123456789").base64(), "4waSgw==");
        assert_eq!(
            Algorithm::Crc64Nvme.of(b"123456789").base64(),
            "rosUhgp5mIg="
        );
        assert_eq!(Algorithm::Crc32c.of(b"").base64(), "AAAAAA==");
    }

    proptest! {
        #[test]
        fn a_whole_sum_is_combined_from_its_parts(bytes: Vec<u8>, cut: usize) {
            let cut = if bytes.is_empty() { 0 } else { cut % bytes.len() };
            let (one, two) = bytes.split_at(cut);
            for algorithm in [Algorithm::Crc32c, Algorithm::Crc64Nvme] {
                let combined = algorithm.of(one).then(algorithm.of(two), two.len() as u64);
                prop_assert_eq!(combined, algorithm.of(&bytes));
            }
        }
    }
}
