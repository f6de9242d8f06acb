//! How much it is to copy a shape, in parts.

use super::{Alternative, Extra, Node, Objects, Rest};
use mynah_protocol::Value;

/// Parts of a shape.
fn weight(node: &Node) -> usize {
    let weights = node
        .alternatives
        .iter()
        .map(|alternative| match alternative {
            Alternative::Values(values) => values.values().map(parts_of_value).sum(),
            Alternative::Array(arrays) => {
                let first: usize = arrays.first.iter().map(weight).sum();
                first + weight(&arrays.rest) + weight_of_extra(&arrays.extra)
            }
            Alternative::Object(object) => weight_of_object(object),
            Alternative::Unknown(value) => parts_of_value(value),
            Alternative::Text(texts) => weight_of_extra(&texts.extra),
            Alternative::Integer(integers) => weight_of_extra(&integers.extra),
            Alternative::Number(numbers) => weight_of_extra(&numbers.extra),
            Alternative::Definition(_)
            | Alternative::Any
            | Alternative::Null
            | Alternative::Bool => 0,
        });
    1 + node.alternatives.len() + weights.sum::<usize>()
}

pub(super) fn weight_of_object(object: &Objects) -> usize {
    let fields = object.fields.values().map(|field| {
        let default = field.default.as_ref().map_or(0, parts_of_value);
        1 + default + weight(&field.node)
    });
    let rest = match &object.rest {
        Rest::Of(node) => weight(node),
        Rest::Passed | Rest::Refused => 0,
    };
    1 + rest + weight_of_extra(&object.extra) + fields.sum::<usize>()
}

fn weight_of_extra(extra: &Extra) -> usize {
    extra.values().map(|value| 1 + parts_of_value(value)).sum()
}

pub(super) fn parts_of_value(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(parts_of_value).sum::<usize>(),
        Value::Map(entries) => {
            let parts = entries.iter().map(|(_, value)| 1 + parts_of_value(value));
            1 + parts.sum::<usize>()
        }
        _ => 1,
    }
}
