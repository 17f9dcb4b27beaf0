//! Numbers in headers: octal digits, or base 256 (GNU, star).

use super::error::Fault;

/// A number that can't be negative.
pub(super) fn unsigned(field: &[u8], name: &str) -> Result<u64, Fault> {
    u64::try_from(signed(field, name)?).map_err(|_| Fault::new(format!("its {name} is negative")))
}

/// Any number. A field that is blank is 0, as for GNU tar and Go.
pub(super) fn signed(field: &[u8], name: &str) -> Result<i64, Fault> {
    let bad = || Fault::new(format!("its {name} is no number: \"{}\"", field.escape_ascii()));
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        return base_256(field).ok_or_else(|| Fault::new(format!("its {name} is no number of 63 bits")));
    }
    let digits = field.trim_ascii_start();
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, behind) = digits.split_at(len);
    // Where a number ends is where readers differ, if it isn't where the field does.
    if behind.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return Err(bad());
    }
    let mut value: i64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 7 {
            return Err(bad());
        }
        value = value.checked_mul(8).and_then(|value| value.checked_add(i64::from(digit))).ok_or_else(bad)?;
    }
    Ok(value)
}

/// Two's complement, of which the first bit says only that it is one.
fn base_256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value: i64 = if negative { -1 } else { 0 };
    for (index, byte) in field.iter().enumerate() {
        let byte = match index {
            0 if negative => *byte,
            0 => byte & 0x7f,
            _ => *byte,
        };
        value = value.checked_mul(256)? | i64::from(byte);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(field: &[u8]) -> Option<i64> {
        signed(field, "size").ok()
    }

    #[test]
    fn octal() {
        assert_eq!(value(b"0000644\0"), Some(0o644));
        assert_eq!(value(b"  644 \0\0"), Some(0o644));
        assert_eq!(value(b"77777777777\0"), Some(0o77777777777));
        assert_eq!(value(b"777777777777"), Some(0o777777777777));
        assert_eq!(value(&[0; 12]), Some(0));
        assert_eq!(value(b"            "), Some(0));
        for bad in
            [&b"0000648\0"[..], b"-0000001", b"0644\x001\0\0", b"\x00\x00644\0\0", b"0x644\0\0\0", b"64 4\0"]
        {
            assert_eq!(value(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn base_256() {
        assert_eq!(value(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(value(&[0xff; 12]), Some(-1));
        assert_eq!(value(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(value(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), Some(i64::MAX));
        assert_eq!(value(b"\x80\0\0\0\x80\0\0\0\0\0\0\0"), None);
        assert_eq!(value(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), None);
        assert!(unsigned(&[0xff; 12], "size").is_err());
    }
}
