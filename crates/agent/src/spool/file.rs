//! Parcels as bytes, and the order in which they become durable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Position, SpoolError, disk};

/// Largest parcel.
const PARCEL_BYTES_MAX: usize = 128 << 20;
const HEAD: usize = 8;

/// A request as it goes to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// Such as `/v1/logs`.
    pub path: String,
    /// Its content type.
    pub content_type: String,
    /// Its content encoding; empty for none.
    pub content_encoding: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Adds a parcel to the bytes of a write.
pub(super) fn encode(parcel: &Parcel, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    for text in [&parcel.path, &parcel.content_type, &parcel.content_encoding] {
        let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
        out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        out.extend_from_slice(text);
    }
    out.extend_from_slice(&parcel.body);
    let length = (out.len() - start - HEAD) as u32;
    let sum = crc32c::crc32c(&out[start + HEAD..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// Reads one back; `None` when it is not what was written.
fn decode(mut payload: &[u8]) -> Option<Parcel> {
    let mut text = || -> Option<String> {
        let (length, rest) = payload.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        payload = rest;
        String::from_utf8(text.to_vec()).ok()
    };
    let (path, content_type, content_encoding) = (text()?, text()?, text()?);
    Some(Parcel { path, content_type, content_encoding, body: payload.to_vec() })
}

/// The name of a file.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.spool"))
}

/// Numbers of the files in a folder, ascending.
pub(super) fn numbers(folder: &Path) -> Result<Vec<u64>, SpoolError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(disk("listed", folder))? {
        let name = entry.map_err(disk("listed", folder))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".spool"));
        numbers.extend(number.and_then(|number| u64::from_str_radix(number, 16).ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes a file and its name durable.
pub(super) fn create(folder: &Path, number: u64) -> Result<File, SpoolError> {
    let path = path(folder, number);
    let file = OpenOptions::new().create_new(true).append(true).open(&path).map_err(disk("made", &path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk("synced", folder))?;
    Ok(file)
}

/// Writes and syncs.
pub(super) fn write_synced(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}

/// The parcel at an offset and the offset behind it.
pub(super) fn read_at(path: &Path, offset: u64) -> Result<(Parcel, u64), SpoolError> {
    let mut file = File::open(path).map_err(disk("opened", path))?;
    let read = read_one(&mut file, offset).map_err(disk("read", path))?;
    read.ok_or_else(|| {
        let error = io::Error::new(io::ErrorKind::InvalidData, format!("no parcel at byte {offset}"));
        disk("read", path)(error)
    })
}

/// `None` where no whole parcel is.
fn read_one(file: &mut File, offset: u64) -> io::Result<Option<(Parcel, u64)>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut head = [0; HEAD];
    if let Err(error) = file.read_exact(&mut head) {
        return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
    }
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let left = file.metadata()?.len().saturating_sub(offset + HEAD as u64);
    if length > PARCEL_BYTES_MAX || length as u64 > left {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    file.read_exact(&mut payload)?;
    if crc32c::crc32c(&payload) != sum {
        return Ok(None);
    }
    Ok(decode(&payload).map(|parcel| (parcel, offset + (HEAD + length) as u64)))
}

/// Cuts off what a kill left half written; returns the length of what is whole.
pub(super) fn cut_torn_end(path: &Path) -> Result<u64, SpoolError> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(disk("opened", path))?;
    let mut whole = 0;
    while let Some((_, end)) = read_one(&mut file, whole).map_err(disk("read", path))? {
        whole = end;
    }
    if file.metadata().map_err(disk("read", path))?.len() > whole {
        tracing::warn!(file = %path.display(), whole, "a torn end of the buffer was cut off");
        file.set_len(whole).and_then(|()| file.sync_data()).map_err(disk("cut", path))?;
    }
    Ok(whole)
}

/// Up to where everything was sent; the beginning where that is not known.
pub(super) fn read_cursor(path: &Path) -> Position {
    let Ok(bytes) = fs::read(path) else { return Position::default() };
    let Some((body, sum)) = bytes.split_at_checked(16) else { return Position::default() };
    if crc32c::crc32c(body).to_le_bytes() != *sum {
        return Position::default();
    }
    let number = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
    Position { file: number(0), offset: number(8) }
}

/// Not synced: an older cursor only sends again.
pub(super) fn write_cursor(path: &Path, position: Position) -> Result<(), SpoolError> {
    let mut bytes = [position.file.to_le_bytes(), position.offset.to_le_bytes()].concat();
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    open.and_then(|file| file.write_all_at(&bytes, 0)).map_err(disk("written", path))
}
