//! The table that is built in.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::StaticEmbedding;

const NAME: &str = "all-MiniLM-L6-v2, distilled to 256 dimensions";
const TOKENIZER: &[u8] = include_bytes!("../model/tokenizer.json");
const TABLE: &[u8] = include_bytes!("../model/model.safetensors");

static EMBEDDING: LazyLock<Arc<StaticEmbedding>> = LazyLock::new(|| {
    let tokenizer = (Path::new("built-in tokenizer.json"), TOKENIZER);
    let table = Path::new("built-in model.safetensors");
    let read = StaticEmbedding::of(NAME.to_owned(), tokenizer, table, Cow::Borrowed(TABLE));
    Arc::new(read.expect("a test reads the files that are built in"))
});

pub fn embedding() -> Arc<StaticEmbedding> {
    EMBEDDING.clone()
}
