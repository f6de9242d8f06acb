//! Texts that name what is not there.

#[derive(Debug, mynah::DomainError)]
enum StoreError {
    #[error(code = 1, message = "{value} is too large")]
    Nothing,
    #[error(code = 2, message = "{valeu} is too large")]
    Named { value: u64, limit: u64 },
    #[error(code = 3, message = "{1} is too large")]
    Tuple(u64),
    #[error(code = 4, message = "{} is too large")]
    Blank(u64),
    #[error(code = 5, message = 5)]
    Number,
    #[error(code = 6, text = "six")]
    Unknown,
    #[error("in the way of another derive")]
    OtherDerive,
    #[error]
    Bare,
}

fn main() {}
