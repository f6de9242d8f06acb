//! `expiry-time`: a date, or a time.

/// Reads `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ`, and gives seconds since 1970. The Z, for UTC, must be there:
/// OpenSSH reads times without it in the zone of its machine, which this server does not know.
pub(super) fn read(text: &str) -> Result<u64, String> {
    let wrong = || "expiry-time: not of the form YYYYMMDD[HHMM[SS]]Z".to_owned();
    let Some(digits) = text.strip_suffix(['Z', 'z']) else {
        return Err(
            "expiry-time: only times in UTC are understood, with a Z at the end".to_owned(),
        );
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 8 | 12 | 14) {
        return Err(wrong());
    }
    let part = |from: usize, to: usize| match digits.get(from..to) {
        Some(part) => part.parse::<u64>().map_err(|_error| wrong()),
        None => Ok(0),
    };
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let days = days_since_1970(year, month, day).ok_or_else(wrong)?;
    if hour > 23 || minute > 59 || second > 60 {
        return Err(wrong());
    }
    Ok(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// `None` when there is no such day, or it is before 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    if year < 1970 || day == 0 || day > *lengths.get(before)? {
        return None;
    }
    let leap_days_before = |year: u64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let years = (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970);
    Some(years + lengths.iter().take(before).sum::<u64>() + day - 1)
}
