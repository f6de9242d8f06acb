use crate::Outcome;
pub(crate) fn run(_: &[String]) -> Outcome {
    Err("not yet".into())
}
