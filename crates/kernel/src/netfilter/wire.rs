//! Netlink attributes, written and read: a length, a type and a value, padded to four bytes.

const NESTED: u16 = 0x8000;
/// Bits of an attribute's type that are flags.
const FLAGS: u16 = 0xc000;

/// Appends attributes to a message.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.begin(kind);
        self.out.extend_from_slice(value);
        self.end(start);
    }

    /// A string, with the zero at its end that the kernel expects.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        let start = self.begin(kind);
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(0);
        self.end(start);
    }

    /// A number in network order, as nf_tables and conntrack have theirs.
    pub(crate) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(crate) fn nested(&mut self, kind: u16, write: impl FnOnce(&mut Writer<'_>)) {
        let start = self.begin(kind | NESTED);
        write(&mut Writer::new(self.out));
        self.end(start);
    }

    fn begin(&mut self, kind: u16) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(&[0, 0]);
        self.out.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn end(&mut self, start: usize) {
        let length = u16::try_from(self.out.len() - start)
            .expect("callers split lists so that an attribute stays below 64 KiB");
        self.out[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }
}

/// Reads the attributes of a message, or those nested in one of them.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The value of the first attribute of this type.
    pub(crate) fn get(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find(|(found, _)| *found == kind)
            .map(|(_, value)| value)
    }

    /// What is nested in the first attribute of this type.
    pub(crate) fn inside(self, kind: u16) -> Option<Attributes<'a>> {
        self.get(kind).map(Attributes::new)
    }

    /// A string without the zero at its end.
    pub(crate) fn text(self, kind: u16) -> Option<&'a str> {
        let bytes = self.get(kind)?;
        std::str::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(bytes)).ok()
    }

    /// A number in network order.
    pub(crate) fn number(self, kind: u16) -> Option<u32> {
        self.get(kind)?.try_into().ok().map(u32::from_be_bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes(self.rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(self.rest.get(2..4)?.try_into().ok()?) & !FLAGS;
        let value = self.rest.get(4..length)?;
        self.rest = self
            .rest
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        Some((kind, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.text(1, "fairway");
        writer.nested(3, |inner| {
            inner.number(1, 0x0102_0304);
            inner.bytes(2, &[7]);
        });
        let read = Attributes::new(&out);
        assert_eq!(read.text(1), Some("fairway"));
        let inner = read.inside(3).expect("the nested attribute is there");
        assert_eq!(inner.number(1), Some(0x0102_0304));
        assert_eq!(inner.get(2), Some(&[7][..]));
        assert_eq!(read.get(2), None);
    }

    #[test]
    fn a_cut_off_attribute_ends_the_list() {
        assert_eq!(Attributes::new(&[9, 0, 1, 0, 5]).count(), 0);
    }
}
