//! What cannot be a domain error.

#[derive(Debug, mynah::DomainError)]
struct NotFound;

#[derive(Debug, mynah::DomainError)]
enum Never {}

#[derive(Debug, mynah::DomainError)]
enum Generic<T> {
    #[error(code = 1)]
    Of(T),
}

#[derive(Debug, mynah::DomainError)]
enum Lent {
    #[error(code = 1)]
    Text(&'static str),
}

#[derive(Debug, mynah::DomainError)]
#[error(code = 1)]
enum Misplaced {
    #[error(code = 2)]
    One,
}

#[derive(Debug, mynah::DomainError)]
#[domain(silent)]
enum Silent {
    #[error(code = 2)]
    One,
}

#[derive(Debug, mynah::DomainError)]
#[domain(no_display)]
enum Own {
    #[domain(code = 2, message = "never shown")]
    One,
}

impl std::fmt::Display for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("own")
    }
}

fn main() {}
