//! The SHA-256 of a file.

use std::{fmt::Write, fs::File, io::Read, path::Path};

use sha2::{Digest, Sha256};

use crate::RecordsError;

/// How much is read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// The file's length and its SHA-256 in hexadecimal digits.
pub(crate) fn of_file(path: &Path) -> Result<(u64, String), RecordsError> {
    let mut file = File::open(path).map_err(RecordsError::file("open", path))?;
    let (mut piece, mut hash, mut length) = (vec![0; PIECE_BYTES], Sha256::new(), 0_u64);
    loop {
        let read = file.read(&mut piece).map_err(RecordsError::file("read", path))?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        length += read as u64;
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    Ok((length, text))
}
