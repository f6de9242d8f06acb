//! Whole wires, one module each.
