//! Content encodings, bounded while decompressing: a bomb costs its limit at most, a snappy bomb nothing.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::DecodeError;

/// Largest zstd window, as a power of two: 8 MiB, the most that RFC 9659 lets HTTP use.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Snappy's densest form is a 64-byte copy in 3 bytes; whoever declares more than this is lying.
const SNAPPY_RATIO_MAX: usize = 22;

/// Encodings that [`decompress`] knows, for messages and `Accept-Encoding`.
pub const ENCODINGS: &str = "gzip, zstd, deflate, snappy, identity";

/// Why a body could not be decompressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressError {
    /// More than the limit: 413.
    #[error("the body is over {limit} bytes when decompressed; send smaller batches")]
    TooLarge {
        /// The limit that was passed.
        limit: usize,
    },
    /// Not what the encoding's name says: 400.
    #[error("the body is not valid {encoding}: {reason}")]
    Malformed {
        /// The declared encoding.
        encoding: &'static str,
        /// What its decoder says.
        reason: String,
    },
    /// Not one of [`ENCODINGS`]: 415.
    #[error("content encoding {0:?} is not supported; use one of {ENCODINGS}")]
    UnknownEncoding(String),
}

impl From<CompressError> for DecodeError {
    fn from(error: CompressError) -> Self {
        let text = error.to_string();
        match error {
            CompressError::TooLarge { .. } => Self::TooLarge(text),
            CompressError::Malformed { .. } => Self::Malformed(text),
            CompressError::UnknownEncoding(_) => Self::Unsupported(text),
        }
    }
}

/// Decompresses a body by the name of its content encoding (empty is identity), to at most `limit` bytes.
pub fn decompress(encoding: &str, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, CompressError> {
    let is = |name: &str| encoding.trim().eq_ignore_ascii_case(name);
    if is("") || is("identity") {
        return if body.len() > limit { Err(CompressError::TooLarge { limit }) } else { Ok(body) };
    }
    let body = body.as_slice();
    if is("gzip") || is("x-gzip") {
        read("gzip", MultiGzDecoder::new(body), body.len(), limit)
    } else if is("zstd") {
        let malformed = |error| malformed("zstd", &error);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(malformed)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(malformed)?;
        read("zstd", decoder, body.len(), limit)
    } else if is("deflate") {
        // The name means zlib, but some senders leave its header out.
        if is_zlib(body) {
            read("deflate", ZlibDecoder::new(body), body.len(), limit)
        } else {
            read("deflate", DeflateDecoder::new(body), body.len(), limit)
        }
    } else if is("snappy") {
        unsnap(body, limit)
    } else {
        Err(CompressError::UnknownEncoding(encoding.chars().take(40).collect()))
    }
}

fn read(
    encoding: &'static str,
    decoder: impl Read,
    compressed: usize,
    limit: usize,
) -> Result<Vec<u8>, CompressError> {
    let mut out = Vec::with_capacity(limit.min(4 * compressed));
    // One byte beyond the limit tells a body that just fits from one that does not.
    let read = decoder.take(limit as u64 + 1).read_to_end(&mut out);
    if out.len() > limit {
        return Err(CompressError::TooLarge { limit });
    }
    read.map_err(|error| malformed(encoding, &error))?;
    Ok(out)
}

/// Snappy's block format says its length first, so that is judged before anything is allocated.
fn unsnap(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressError> {
    let malformed = |reason: String| CompressError::Malformed { encoding: "snappy", reason };
    let declared = snap::raw::decompress_len(body).map_err(|error| malformed(error.to_string()))?;
    if declared > limit {
        return Err(CompressError::TooLarge { limit });
    }
    if declared > SNAPPY_RATIO_MAX * body.len() {
        return Err(malformed(format!("{} bytes cannot hold the declared {declared}", body.len())));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(|error| malformed(error.to_string()))
}

fn is_zlib(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0,
        _ => true,
    }
}

fn malformed(encoding: &'static str, error: &std::io::Error) -> CompressError {
    CompressError::Malformed { encoding, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn pack(encoding: &str, plain: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match encoding {
            "gzip" => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
                writer.write_all(plain).and_then(|()| writer.finish()).expect("gzip")
            }
            "deflate" => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
                writer.write_all(plain).and_then(|()| writer.finish()).expect("zlib")
            }
            "raw deflate" => {
                let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
                writer.write_all(plain).and_then(|()| writer.finish()).expect("deflate")
            }
            "zstd" => zstd::encode_all(plain, 1).expect("zstd"),
            "snappy" => snap::raw::Encoder::new().compress_vec(plain).expect("snappy"),
            _ => plain.to_vec(),
        }
    }

    const ALL: [&str; 6] = ["gzip", "deflate", "raw deflate", "zstd", "snappy", "identity"];

    fn name(encoding: &str) -> &str {
        encoding.trim_start_matches("raw ")
    }

    #[test]
    fn a_body_that_just_fits_passes_and_one_byte_more_does_not() {
        let plain = b"0123456789".repeat(1000);
        for encoding in ALL {
            let packed = pack(encoding, &plain);
            assert_eq!(decompress(name(encoding), packed.clone(), 10_000).as_ref(), Ok(&plain), "{encoding}");
            let too_large = decompress(name(encoding), packed, 9_999);
            assert_eq!(too_large, Err(CompressError::TooLarge { limit: 9_999 }), "{encoding}");
        }
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let zeros = vec![0; 100 << 20];
        for encoding in ["gzip", "deflate", "zstd", "snappy"] {
            let bomb = pack(encoding, &zeros);
            let want = Err(CompressError::TooLarge { limit: 1 << 20 });
            assert_eq!(decompress(encoding, bomb, 1 << 20), want, "{encoding}");
        }
    }

    #[test]
    fn a_snappy_length_that_cannot_be_true_is_refused() {
        let lie = [0xff, 0xff, 0x7f, 0, b'a'];
        assert!(matches!(decompress("snappy", lie.to_vec(), 1 << 30), Err(CompressError::Malformed { .. })));
    }

    #[test]
    fn names_are_compared_without_case_and_others_are_refused() {
        assert_eq!(decompress("GZIP", pack("gzip", b"a"), 1), Ok(b"a".to_vec()));
        assert_eq!(decompress("", b"a".to_vec(), 1), Ok(b"a".to_vec()));
        assert_eq!(decompress("br", vec![], 1), Err(CompressError::UnknownEncoding("br".into())));
    }

    proptest! {
        #[test]
        fn every_encoding_round_trips(plain: Vec<u8>) {
            for encoding in ALL {
                let packed = pack(encoding, &plain);
                let unpacked = decompress(name(encoding), packed, 1 << 20);
                prop_assert_eq!(unpacked.as_ref(), Ok(&plain));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            for encoding in ALL {
                let _ = decompress(name(encoding), body.clone(), 1 << 16);
            }
        }
    }
}
