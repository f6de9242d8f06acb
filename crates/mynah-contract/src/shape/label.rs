//! What a shape is called when a change is told.

use super::{Alternative, Integers, Node, Shapes, Texts};

/// As many alternatives or values are named; what is beyond is counted.
const NAMED: usize = 6;

impl Shapes {
    /// In a few words.
    pub(crate) fn label(&self, node: &Node) -> String {
        label(&self.alternatives(node))
    }
}

/// One of these, in a few words.
pub(crate) fn label(alternatives: &[&Alternative]) -> String {
    if alternatives.is_empty() {
        return "nothing".into();
    }
    let labels: Vec<String> = alternatives
        .iter()
        .map(|alternative| alternative.label())
        .collect();
    listed(&labels)
}

impl Alternative {
    /// In a few words.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Definition(_) | Self::Any => "anything".into(),
            Self::Null => "null".into(),
            Self::Bool => "boolean".into(),
            Self::Integer(integers) => integers.label(),
            Self::Number(numbers) => {
                let mut label = "number".to_owned();
                for (bound, closed, open) in [(numbers.min, ">=", ">"), (numbers.max, "<=", "<")] {
                    if let Some(bound) = bound {
                        let sign = if bound.open { open } else { closed };
                        label.extend([format!(" {sign} {}", bound.value)]);
                    }
                }
                label
            }
            Self::Text(texts) => texts.label(),
            Self::Values(values) => {
                let texts: Vec<String> = values.keys().map(|text| cut(text)).collect();
                listed(&texts)
            }
            Self::Array(arrays) => match (arrays.first.len(), arrays.max) {
                (0, _) => "list".into(),
                (len, Some(_)) => format!("list of {len}"),
                (len, None) => format!("list of {len} and more"),
            },
            Self::Object(objects) => match &objects.rest {
                super::Rest::Of(_) if objects.fields.is_empty() => "map".into(),
                _ => "object".into(),
            },
            Self::Unknown(schema) => cut(&crate::json::compact(schema)),
        }
    }
}

impl Integers {
    fn label(&self) -> String {
        match (self.min, self.max) {
            (None, None) => "integer".into(),
            (Some(min), None) => format!("integer from {min}"),
            (None, Some(max)) => format!("integer to {max}"),
            (Some(min), Some(max)) => format!("integer from {min} to {max}"),
        }
    }
}

impl Texts {
    fn label(&self) -> String {
        let mut label = "text".to_owned();
        for (keyword, value) in &self.extra {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            label.extend([format!(", {keyword} {}", cut(&value))]);
        }
        if self.min > 0 {
            label.extend([format!(", at least {} long", self.min)]);
        }
        if let Some(max) = self.max {
            label.extend([format!(", at most {max} long")]);
        }
        label
    }
}

/// The beginning of a text that the other side has written.
pub(crate) fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().nth(LONGEST).is_none() {
        return text.to_owned();
    }
    text.chars()
        .take(LONGEST - 3)
        .chain("...".chars())
        .collect()
}

pub(crate) fn listed(labels: &[String]) -> String {
    let mut text = labels
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" | ");
    if labels.len() > NAMED {
        text.extend([format!(" | and {} more", labels.len() - NAMED)]);
    }
    text
}
