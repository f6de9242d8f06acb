//! Codes that are missing, reserved, doubled, or no integers.

#[derive(Debug, mynah::DomainError)]
enum StoreError {
    NoCode,
    #[error(message = "no code either")]
    NoCodeEither,
    #[error(code = -32000)]
    Reserved,
    #[error(code = -32768)]
    ReservedToo,
    #[error(code = 1)]
    First,
    #[error(code = 1)]
    Second,
    #[error(code = "2")]
    Text,
    #[error(code = 9223372036854775808)]
    TooLarge,
    #[error(code = 3, code = 4)]
    Twice,
}

fn main() {}
