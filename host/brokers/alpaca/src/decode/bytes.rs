//! A reader of MessagePack that neither allocates nor trusts a length.

use rmp::Marker;
use sandpit_types::MarketTime;
use serde_json::{Map, Number, Value};

use super::MAX_SYMBOL_BYTES;
use crate::wire::{number, stamp};

/// The extension type of a time.
const TIME: i8 = -1;
/// Messages nest two or three levels deep; what lies deeper than this is left out.
const MAX_DEPTH: usize = 16;
const NANOS_PER_SEC: u32 = 1_000_000_000;

/// What is left of the bytes.
pub(super) struct Bytes<'b>(pub(super) &'b [u8]);

impl<'b> Bytes<'b> {
    #[inline]
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    #[inline]
    fn marker(&mut self) -> Option<Marker> {
        let [byte] = self.fixed()?;
        Some(Marker::from_u8(byte))
    }

    fn u8(&mut self) -> Option<u32> {
        self.fixed().map(|[byte]: [u8; 1]| byte.into())
    }

    fn u16(&mut self) -> Option<u32> {
        self.fixed().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn u32(&mut self) -> Option<u32> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(super) fn array_len(&mut self) -> Option<u32> {
        match self.marker()? {
            Marker::FixArray(len) => Some(len.into()),
            Marker::Array16 => self.u16(),
            Marker::Array32 => self.u32(),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn map_len(&mut self) -> Option<u32> {
        match self.marker()? {
            Marker::FixMap(len) => Some(len.into()),
            Marker::Map16 => self.u16(),
            Marker::Map32 => self.u32(),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn text(&mut self) -> Option<&'b [u8]> {
        let len = match self.marker()? {
            Marker::FixStr(len) => len.into(),
            Marker::Str8 => self.u8()?,
            Marker::Str16 => self.u16()?,
            Marker::Str32 => self.u32()?,
            _ => return None,
        };
        self.take(len as usize)
    }

    /// For a field that may come once.
    #[inline]
    pub(super) fn once(&mut self, seen: &mut u8, bit: u8) -> Option<&mut Self> {
        if *seen & bit != 0 {
            return None;
        }
        *seen |= bit;
        Some(self)
    }

    #[inline]
    pub(super) fn symbol(&mut self) -> Option<&'b str> {
        let name = self.text()?;
        let fits = (1..=MAX_SYMBOL_BYTES).contains(&name.len());
        if fits { str::from_utf8(name).ok() } else { None }
    }

    #[inline]
    pub(super) fn price(&mut self) -> Option<f64> {
        let price = match self.marker()? {
            Marker::F64 => f64::from_be_bytes(self.fixed()?),
            Marker::F32 => f32::from_be_bytes(self.fixed()?).into(),
            marker => self.integer(marker)? as f64,
        };
        number::is_price(price).then_some(price)
    }

    #[inline]
    pub(super) fn whole(&mut self) -> Option<u64> {
        let marker = self.marker()?;
        self.integer(marker)?.try_into().ok()
    }

    #[inline]
    fn integer(&mut self, marker: Marker) -> Option<i128> {
        Some(match marker {
            Marker::FixPos(value) => value.into(),
            Marker::FixNeg(value) => value.into(),
            Marker::U8 => u8::from_be_bytes(self.fixed()?).into(),
            Marker::U16 => u16::from_be_bytes(self.fixed()?).into(),
            Marker::U32 => u32::from_be_bytes(self.fixed()?).into(),
            Marker::U64 => u64::from_be_bytes(self.fixed()?).into(),
            Marker::I8 => i8::from_be_bytes(self.fixed()?).into(),
            Marker::I16 => i16::from_be_bytes(self.fixed()?).into(),
            Marker::I32 => i32::from_be_bytes(self.fixed()?).into(),
            Marker::I64 => i64::from_be_bytes(self.fixed()?).into(),
            _ => return None,
        })
    }

    /// A time, as the extension or as text.
    #[inline]
    pub(super) fn time(&mut self) -> Option<MarketTime> {
        let before = self.0;
        let marker = self.marker()?;
        let Some((kind, data)) = self.extension(marker) else {
            self.0 = before;
            return stamp::parse(str::from_utf8(self.text()?).ok()?);
        };
        if kind == TIME { time(data) } else { None }
    }

    /// The type and the bytes of an extension.
    #[inline]
    fn extension(&mut self, marker: Marker) -> Option<(i8, &'b [u8])> {
        let len = match marker {
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => self.u8()?,
            Marker::Ext16 => self.u16()?,
            Marker::Ext32 => self.u32()?,
            _ => return None,
        };
        let [kind] = self.fixed()?;
        Some((i8::from_be_bytes([kind]), self.take(len as usize)?))
    }

    /// Steps over one value with all that is in it.
    pub(super) fn skip(&mut self) -> Option<()> {
        let mut waiting = 1_u64;
        while waiting > 0 {
            waiting -= 1;
            let marker = self.marker()?;
            let len = match marker {
                Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
                Marker::U8 | Marker::I8 => 1,
                Marker::U16 | Marker::I16 => 2,
                Marker::U32 | Marker::I32 | Marker::F32 => 4,
                Marker::U64 | Marker::I64 | Marker::F64 => 8,
                Marker::FixStr(len) => len.into(),
                Marker::Str8 | Marker::Bin8 => self.u8()?,
                Marker::Str16 | Marker::Bin16 => self.u16()?,
                Marker::Str32 | Marker::Bin32 => self.u32()?,
                Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                    waiting += u64::from(self.collection(marker)?);
                    0
                }
                Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                    waiting += 2 * u64::from(self.collection(marker)?);
                    0
                }
                Marker::Reserved => return None,
                Marker::FixExt1
                | Marker::FixExt2
                | Marker::FixExt4
                | Marker::FixExt8
                | Marker::FixExt16
                | Marker::Ext8
                | Marker::Ext16
                | Marker::Ext32 => {
                    self.extension(marker)?;
                    0
                }
            };
            self.take(len as usize)?;
        }
        Some(())
    }

    /// How many values an array holds, or how many pairs a map, whose marker has been read.
    fn collection(&mut self, marker: Marker) -> Option<u32> {
        match marker {
            Marker::FixArray(len) | Marker::FixMap(len) => Some(len.into()),
            Marker::Array16 | Marker::Map16 => self.u16(),
            Marker::Array32 | Marker::Map32 => self.u32(),
            _ => None,
        }
    }

    /// One value as JSON: times become text, other extensions and bytes are `null`.
    ///
    /// # Errors
    /// Says what cannot be JSON: a number that is none, a name that is no text or comes twice.
    pub(super) fn value(&mut self, depth: usize) -> Result<Value, &'static str> {
        const CUT: &str = "it is cut off";
        if depth > MAX_DEPTH {
            return self.skip().map(|()| Value::Null).ok_or(CUT);
        }
        let before = self.0;
        let marker = self.marker().ok_or(CUT)?;
        Ok(match marker {
            Marker::Null => Value::Null,
            Marker::True => Value::Bool(true),
            Marker::False => Value::Bool(false),
            Marker::F64 => float(f64::from_be_bytes(self.fixed().ok_or(CUT)?))?,
            Marker::F32 => float(f32::from_be_bytes(self.fixed().ok_or(CUT)?).into())?,
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                self.0 = before;
                let text = self.text().ok_or(CUT)?;
                Value::from(str::from_utf8(text).map_err(|_| "a text is not UTF-8")?)
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                let count = self.collection(marker).ok_or(CUT)?;
                let values = (0..count).map(|_| self.value(depth + 1));
                Value::Array(values.collect::<Result<_, _>>()?)
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let count = self.collection(marker).ok_or(CUT)?;
                self.object(count, depth)?
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                self.0 = before;
                self.skip().ok_or(CUT)?;
                Value::Null
            }
            Marker::Reserved => return Err("it is no MessagePack"),
            _ => match self.extension(marker) {
                Some((TIME, data)) => Value::from(time(data).ok_or("a time cannot be read")?.to_string()),
                Some(_) => Value::Null,
                None => integer(self.integer(marker).ok_or(CUT)?),
            },
        })
    }

    fn object(&mut self, count: u32, depth: usize) -> Result<Value, &'static str> {
        let mut fields = Map::new();
        for _ in 0..count {
            let name =
                str::from_utf8(self.text().ok_or("a name is no text")?).map_err(|_| "a name is no text")?;
            if fields.insert(name.to_owned(), self.value(depth + 1)?).is_some() {
                return Err("a field comes twice");
            }
        }
        Ok(Value::Object(fields))
    }
}

fn float(value: f64) -> Result<Value, &'static str> {
    Number::from_f64(value).map(Value::Number).ok_or("a number is infinite, or none")
}

fn integer(value: i128) -> Value {
    let small = i64::try_from(value).map(Value::from);
    small.or_else(|_| u64::try_from(value).map(Value::from)).expect("integers of MessagePack have 64 bits")
}

/// The three forms of a time: seconds; nanoseconds and seconds in one; both apart.
#[inline]
fn time(data: &[u8]) -> Option<MarketTime> {
    let (seconds, nanos) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            ((both & 0x3_ffff_ffff) as i64, (both >> 34) as u32)
        }
        12 => {
            let (nanos, seconds) = data.split_first_chunk()?;
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(*nanos))
        }
        _ => return None,
    };
    if nanos >= NANOS_PER_SEC {
        return None;
    }
    let nanos = seconds.checked_mul(NANOS_PER_SEC.into())?.checked_add(nanos.into())?;
    Some(MarketTime::from_nanos(nanos))
}
