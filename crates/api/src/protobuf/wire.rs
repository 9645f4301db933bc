//! Protobuf's wire format: numbered fields of varints, bytes and fixed-size words.

/// What Go says when a message ends in the middle of something.
pub(super) const UNEXPECTED_END: &str = "unexpected EOF";

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'b> {
    /// A number, a bool.
    Varint(u64),
    /// A string, bytes, a message, or packed numbers.
    Bytes(&'b [u8]),
    /// Eight or four bytes; no served kind has such a field.
    Fixed,
}

/// The fields of a message with their numbers.
pub(super) struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    pub(super) fn new(message: &'b [u8]) -> Self {
        Self { rest: message }
    }

    fn read(&mut self) -> Result<(u32, Field<'b>), String> {
        let key = varint(&mut self.rest)?;
        let tag = u32::try_from(key >> 3).map_err(|_| "proto: illegal tag".to_owned())?;
        if tag == 0 {
            return Err(format!("proto: illegal tag 0 (wire type {})", key & 7));
        }
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut self.rest)?),
            1 => self.skip(8)?,
            2 => {
                let length = varint(&mut self.rest)?;
                let length = usize::try_from(length).map_err(|_| UNEXPECTED_END.to_owned())?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.skip(4)?,
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        Ok((tag, field))
    }

    fn skip(&mut self, length: usize) -> Result<Field<'b>, String> {
        self.take(length).map(|_| Field::Fixed)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| UNEXPECTED_END.to_owned())?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Result<(u32, Field<'b>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}

/// Packed numbers.
pub(super) fn varints(mut bytes: &[u8]) -> impl Iterator<Item = Result<u64, String>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let number = varint(&mut bytes);
        if number.is_err() {
            bytes = &[];
        }
        Some(number)
    })
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(UNEXPECTED_END)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("proto: integer overflow".to_owned())
}
