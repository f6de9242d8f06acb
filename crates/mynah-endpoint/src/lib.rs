//! Opens and accepts connections by URL.
