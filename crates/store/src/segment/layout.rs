//! Where the parts of a segment are: file names, and the end of the `.chunks` file.
//!
//! ```text
//! <id>.chunks:  magic | chunks, and each vector of timestamps before its first user | directory | footer
//! <id>.parquet: the series table, one row per series in the order of their chunks
//! ```
//! The directory lists the vectors of timestamps and holds the metadata. The footer says where the directory
//! is and how the table is: a table that is damaged or of another segment is noticed before it is parsed.

use model::{Metadata, MetricType, Signal, TenantId};

use super::chunk::{Effort, Scratch, decode_plain_ints, encode_plain_ints};
use super::meta::{SegmentId, StoredMetadata};
use super::wire::{Damaged, Decoded, Reader, put_text, put_varint, put_zigzag};

/// First bytes of a `.chunks` file.
pub(crate) const MAGIC: &[u8; 8] = b"BWCHUNK1";
/// Last bytes of a `.chunks` file.
const FOOTER_MAGIC: &[u8; 4] = b"BWC1";
/// Format that this version writes, and the latest it reads.
pub(crate) const FORMAT: u32 = 1;
/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: u64 = 44;

/// The folder of a day's segments, relative to the data folder.
pub(crate) fn folder(tenant: &TenantId, signal: Signal, day: i32) -> String {
    let (year, month, day) = civil(day);
    format!("tenants/{tenant}/{}/{year:04}-{month:02}-{day:02}", signal.as_str())
}

/// Paths of the series table and of the chunks.
pub(crate) fn paths(tenant: &TenantId, signal: Signal, day: i32, id: SegmentId) -> [String; 2] {
    let folder = folder(tenant, signal, day);
    [format!("{folder}/{id}.parquet"), format!("{folder}/{id}.chunks")]
}

/// Year, month and day of a number of days since the Unix epoch, in the Gregorian calendar.
fn civil(day: i32) -> (i64, u32, u32) {
    // Counted from 1 March 0000, so that the leap day is the last of its year.
    let day = i64::from(day) + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = (if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 }) as u32;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// A vector of timestamps in the `.chunks` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vector {
    /// First byte.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) len: u32,
    /// Timestamps.
    pub(crate) count: u32,
    /// First timestamp.
    pub(crate) min_t_ms: i64,
    /// Last timestamp.
    pub(crate) max_t_ms: i64,
}

/// What precedes the footer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) vectors: Vec<Vector>,
    pub(crate) metadata: Vec<StoredMetadata>,
}

impl Directory {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.vectors.len() as u64);
        let mut put = |number: &dyn Fn(&Vector) -> i64| {
            let column: Vec<i64> = self.vectors.iter().map(number).collect();
            encode_plain_ints(&column, Effort::Dense, &mut out);
        };
        put(&|v| v.offset as i64);
        put(&|v| i64::from(v.len));
        put(&|v| i64::from(v.count));
        put(&|v| v.min_t_ms);
        put(&|v| v.max_t_ms.wrapping_sub(v.min_t_ms));
        put_varint(&mut out, self.metadata.len() as u64);
        for StoredMetadata { metadata, seen_ms } in &self.metadata {
            put_text(&mut out, &metadata.metric);
            out.push(metadata.kind as u8);
            put_text(&mut out, &metadata.unit);
            put_text(&mut out, &metadata.help);
            put_zigzag(&mut out, *seen_ms);
        }
        out
    }

    /// `vectors_max` bounds the vectors by the bytes that hold them.
    pub(crate) fn decode(bytes: &[u8], vectors_max: usize) -> Decoded<Self> {
        let mut reader = Reader::new(bytes);
        let count = reader.count(vectors_max, "number of timestamp vectors")?;
        let mut scratch = Scratch::default();
        let mut take = || {
            let mut column = Vec::new();
            decode_plain_ints(&mut reader, count, &mut scratch, &mut column).map(|()| column)
        };
        let (offsets, lens, counts, mins, spans) = (take()?, take()?, take()?, take()?, take()?);
        let number = |value: i64| u32::try_from(value).map_err(|_| Damaged("vector of timestamps"));
        let vectors = (0..count).map(|i| {
            Ok(Vector {
                offset: offsets[i] as u64,
                len: number(lens[i])?,
                count: number(counts[i])?,
                min_t_ms: mins[i],
                max_t_ms: mins[i].wrapping_add(spans[i]),
            })
        });
        let vectors = vectors.collect::<Decoded<Vec<_>>>()?;
        // An entry takes five bytes at least, so the bytes that are there bound the allocation.
        let rows = reader.count(reader.len() / 5, "number of metadata rows")?;
        let mut metadata = Vec::with_capacity(rows);
        for _ in 0..rows {
            let metric = reader.text()?.to_owned();
            let kind = usize::from(reader.u8()?);
            let kind = *MetricType::ALL.get(kind).ok_or(Damaged("metric type"))?;
            let (unit, help) = (reader.text()?.to_owned(), reader.text()?.to_owned());
            let seen_ms = reader.zigzag()?;
            metadata.push(StoredMetadata { metadata: Metadata { metric, kind, unit, help }, seen_ms });
        }
        if reader.is_empty() { Ok(Self { vectors, metadata }) } else { Err(Damaged("end of the directory")) }
    }
}

/// The end of the `.chunks` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// First byte of the directory, which is where the chunks end.
    pub(crate) directory_offset: u64,
    /// Bytes of the directory as stored (zstd).
    pub(crate) directory_len: u32,
    /// Bytes of the directory before compression.
    pub(crate) directory_raw_len: u32,
    /// CRC32C of the stored directory.
    pub(crate) directory_crc: u32,
    /// Bytes of the series table.
    pub(crate) table_len: u64,
    /// CRC32C of the series table.
    pub(crate) table_crc: u32,
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES as usize);
        out.extend_from_slice(&self.directory_offset.to_le_bytes());
        out.extend_from_slice(&self.directory_len.to_le_bytes());
        out.extend_from_slice(&self.directory_raw_len.to_le_bytes());
        out.extend_from_slice(&self.directory_crc.to_le_bytes());
        out.extend_from_slice(&self.table_len.to_le_bytes());
        out.extend_from_slice(&self.table_crc.to_le_bytes());
        out.extend_from_slice(&FORMAT.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(FOOTER_MAGIC);
        out
    }

    /// The footer and the format of the file, which may be later than what this version knows.
    pub(crate) fn decode(bytes: &[u8]) -> Decoded<(Self, u32)> {
        let mut reader = Reader::new(bytes);
        let footer = Self {
            directory_offset: reader.u64()?,
            directory_len: reader.u32()?,
            directory_raw_len: reader.u32()?,
            directory_crc: reader.u32()?,
            table_len: reader.u64()?,
            table_crc: reader.u32()?,
        };
        let format = reader.u32()?;
        let crc = crc32c::crc32c(&bytes[..bytes.len() - reader.len()]);
        if reader.u32()? != crc || reader.take(4)? != FOOTER_MAGIC {
            return Err(Damaged("footer"));
        }
        Ok((footer, format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_hold_tenant_signal_and_day() {
        let tenant = TenantId::default_tenant();
        for (day, want) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (20_514, "2026-03-02"),
            (19_782, "2024-02-29"),
        ] {
            let [table, chunks] = paths(&tenant, Signal::Metrics, day, SegmentId(10));
            assert_eq!(table, format!("tenants/default/metrics/{want}/000000000000000a.parquet"));
            assert_eq!(chunks, format!("tenants/default/metrics/{want}/000000000000000a.chunks"));
        }
    }

    #[test]
    fn the_footer_round_trips_and_notices_damage() {
        let footer = Footer {
            directory_offset: 1 << 40,
            directory_len: 7,
            directory_raw_len: 9,
            directory_crc: 5,
            table_len: 1 << 33,
            table_crc: 3,
        };
        let bytes = footer.encode();
        assert_eq!(bytes.len() as u64, FOOTER_BYTES);
        assert_eq!(Footer::decode(&bytes), Ok((footer, FORMAT)));
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(Footer::decode(&bytes).is_err(), "{at}");
        }
    }

    #[test]
    fn the_directory_round_trips() {
        let vectors = (0..300).map(|i| Vector {
            offset: i * 17,
            len: 17,
            count: 120,
            min_t_ms: 1_700_000_000_000 + i as i64,
            max_t_ms: 1_700_001_785_000 + i as i64,
        });
        let metadata = Metadata {
            metric: "up".into(),
            kind: MetricType::Gauge,
            unit: String::new(),
            help: "Whether it is up.".into(),
        };
        for directory in [
            Directory::default(),
            Directory {
                vectors: vectors.collect(),
                metadata: vec![StoredMetadata { metadata, seen_ms: -5 }],
            },
        ] {
            assert_eq!(Directory::decode(&directory.encode(), 300), Ok(directory));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_directories_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Directory::decode(&bytes, 1000);
            let _ = Footer::decode(&bytes);
        }
    }
}
