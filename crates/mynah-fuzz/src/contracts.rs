//! Contracts that a peer has sent, or a file holds.

use mynah_contract::{
    Comparison, Contract, ContractError, Manifest, Method, MethodKind, Param, Reason, Schema,
    clamator, json, openrpc,
};
use mynah_protocol::Value;

/// A manifest, or two schemas and a value: whatever can be read is written and read as it was, is the same as itself, can be
/// compared with any other, exported, and held against any value. The first byte says which it is.
pub fn contracts(bytes: &[u8]) {
    let Some((kind, text)) = bytes.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if kind % 2 == 0 {
        // Hashes are checked when it is read, so that few variants of one can be.
        if let Ok(manifest) = text.parse::<Manifest>() {
            hold(&manifest);
        }
        return;
    }
    let mut lines = text.split('\n');
    let mut schema = || lines.next().unwrap_or_default().parse::<Schema>().ok();
    let (old, new) = (schema(), schema());
    let (old, new) = (of(old), of(new));
    let value = json::parse(lines.next().unwrap_or("null")).unwrap_or_default();
    for contract in [&old, &new].into_iter().flatten() {
        hold(&contract.manifest());
        validate(contract, &value);
    }
    if let (Ok(old), Ok(new)) = (&old, &new) {
        compare(&old.manifest(), &new.manifest());
        compare(&new.manifest(), &old.manifest());
    }
}

/// A contract in which the schema stands in each place that has one.
fn of(schema: Option<Schema>) -> Result<Contract, ContractError> {
    let schema = schema.unwrap_or_else(Schema::any);
    let separate = Method::new("separate", MethodKind::Unary)
        .with_param(Param::new("first").with_schema(schema.clone()))
        .with_param(Param::new("second").with_schema(schema.clone()).optional())
        .with_result(schema.clone());
    let object = Method::new("object", MethodKind::ServerStream)
        .with_object(Param::new("params").with_schema(schema.clone()))
        .with_result(schema);
    let contract = Contract::new("fuzzed").with_method(separate)?;
    contract.with_method(object)
}

fn hold(manifest: &Manifest) {
    let Ok(text) = manifest.to_json() else {
        return;
    };
    let again: Manifest = text.parse().expect("what was written can be read");
    assert_eq!(again.to_json().as_ref(), Ok(&text), "written as it was");
    compare(manifest, &again);
    let comparison = Comparison::of(manifest, &again);
    let changed = comparison.changes().iter();
    let mut changed = changed.filter(|change| !matches!(change.reason(), Reason::NotCompared(_)));
    assert!(changed.next().is_none(), "the same as itself: {comparison}");
    for contract in manifest.contracts() {
        validate(contract, &Value::Null);
    }
    // What others have no words for is an error, and nothing worse.
    drop(clamator::manifest(
        manifest.contracts(),
        "fuzzed",
        clamator::Target::JsonSchema7,
    ));
    drop(openrpc::document(
        manifest,
        &openrpc::Info::new("fuzzed", "1"),
    ));
}

fn compare(old: &Manifest, new: &Manifest) {
    let comparison = Comparison::of(old, new);
    // One line for each change, whatever names the other side has chosen.
    let lines = comparison.to_string().lines().count();
    assert_eq!(lines, 1 + comparison.changes().len(), "{comparison:?}");
}

fn validate(contract: &Contract, value: &Value) {
    let Ok(validators) = contract.validators() else {
        return;
    };
    for (_, validator) in &validators {
        let alone = Value::Array(vec![value.clone()]);
        let named = Value::from([("first", value.clone())]);
        for params in [value, &alone, &named] {
            assert!(validator.params(params).len() <= 32);
        }
        assert!(validator.result(value).len() <= 32);
        assert!(validator.unchecked().len() <= 32);
    }
}
