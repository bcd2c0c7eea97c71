//! Tables that are made here, folders as users configure them, and what the built-in one knows.

use std::path::Path;
use std::sync::Arc;

use half::f16;
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

use super::*;

const TOKENIZER_OF_WORDS: &str = r####"{
    "version": "1.0",
    "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
    "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "slow"},
    "added_tokens": [], "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"slow": 0, "pool": 1, "the": 2, "?": 3}}
}"####;

/// Rows of `slow`, `pool`, `the` and what is not known.
const ROWS: [[f32; 2]; 4] = [[3.0, 0.0], [0.0, 4.0], [0.0, 0.0], [-9.0, -9.0]];

struct Tensor(&'static str, Dtype, Vec<usize>, Vec<u8>);

fn f32s(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn rows(number: Dtype) -> Tensor {
    let numbers = ROWS.as_flattened();
    let bytes = match number {
        Dtype::I8 => numbers.iter().map(|number| *number as i8 as u8).collect(),
        Dtype::F16 => numbers.iter().flat_map(|it| f16::from_f32(*it).to_le_bytes()).collect(),
        _ => f32s(numbers),
    };
    Tensor("embeddings", number, vec![4, 2], bytes)
}

fn bytes_of(tensors: &[Tensor]) -> Vec<u8> {
    let views = tensors.iter().map(|Tensor(name, dtype, shape, data)| {
        (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    serialize(views, None).unwrap()
}

fn folder(tensors: &[Tensor]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write(CONFIG, br#"{"model_type": "model2vec", "normalize": false}"#);
    write(TOKENIZER, TOKENIZER_OF_WORDS.as_bytes());
    write(TABLE, &bytes_of(tensors));
    folder
}

fn open(tensors: &[Tensor]) -> Result<StaticEmbedding, EmbeddingError> {
    StaticEmbedding::open(folder(tensors).path())
}

/// The message without the path of this run.
fn refused(folder: &Path) -> String {
    let message = StaticEmbedding::open(folder).unwrap_err().to_string();
    message.replace(&folder.display().to_string(), "F")
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn a_text_means_the_mean_of_its_tokens() {
    for number in [Dtype::I8, Dtype::F16, Dtype::F32] {
        let embedding = open(&[rows(number)]).unwrap();
        assert_eq!((embedding.dimensions(), embedding.tokens()), (2, 4));
        assert_eq!(embedding.embed("Slow"), Some(vec![1.0, 0.0]), "{number:?}");
        assert_eq!(embedding.embed("slow pool"), Some(vec![0.6, 0.8]));
        // The tokenizer says to fill up to eight tokens and to cut behind two.
        assert_eq!(embedding.embed("the the slow pool"), Some(vec![0.6, 0.8]));
    }
}

#[test]
fn what_is_not_known_means_nothing() {
    let embedding = open(&[rows(Dtype::F32)]).unwrap();
    for text in ["", " \n", "zebra", "the", "🦓 zebra ?"] {
        assert_eq!(embedding.embed(text), None, "{text:?}");
    }
    assert_eq!(embedding.embed("zebra slow 🦓"), embedding.embed("slow"));
}

#[test]
fn weights_are_by_token_and_a_mapping_says_the_row() {
    let weights = Tensor("weights", Dtype::F32, vec![4], f32s(&[2.0, 1.0, 0.0, 1.0]));
    let embedding = open(&[rows(Dtype::I8), weights]).unwrap();
    assert_eq!(embedding.embed("slow pool the"), Some(vec![0.832_050_3, 0.554_700_2]));

    let to = [1i64, 1, 0, 0].iter().flat_map(|row| row.to_le_bytes()).collect();
    let mapping = Tensor("mapping", Dtype::I64, vec![4], to);
    let few = Tensor("embeddings", Dtype::I8, vec![2, 2], vec![3, 0, 0, 4]);
    let weights = Tensor("weights", Dtype::F32, vec![4], f32s(&[0.0, 1.0, 4.0, 1.0]));
    let embedding = open(&[few, weights, mapping]).unwrap();
    assert_eq!(embedding.embed("slow"), None, "its weight is 0, though it has a row");
    assert_eq!(embedding.embed("pool"), Some(vec![0.0, 1.0]));
    assert_eq!(embedding.embed("the"), Some(vec![1.0, 0.0]));
}

#[test]
fn opposites_that_cancel_out_mean_nothing() {
    let rows = [5.0, 1.0, -5.0, -1.0, 0.0, 0.0, 0.0, 0.0];
    let embedding = open(&[Tensor("embeddings", Dtype::F32, vec![4, 2], f32s(&rows))]).unwrap();
    assert_eq!(embedding.embed("slow pool"), None);
    let largest = [f32::MAX, f32::MAX, f32::MAX, -f32::MAX, 0.0, 0.0, 0.0, 0.0];
    let embedding = open(&[Tensor("embeddings", Dtype::F32, vec![4, 2], f32s(&largest))]).unwrap();
    assert_eq!(embedding.embed(&"slow pool ".repeat(200)), Some(vec![1.0, 0.0]));
}

#[test]
fn what_is_no_embedding_says_which_file_and_what_would_be_right() {
    let shaped = |dtype, shape: &[usize], bytes| Tensor("embeddings", dtype, shape.into(), bytes);
    let broken = |tensors: &[Tensor]| refused(folder(tensors).path());
    assert_eq!(
        broken(&[Tensor("words", Dtype::I8, vec![1], vec![0])]),
        r#"F/model.safetensors has no tensor "embeddings", expected one of [rows, dimensions]"#
    );
    assert_eq!(
        broken(&[shaped(Dtype::I64, &[1, 1], vec![0; 8])]),
        r#"tensor "embeddings" of F/model.safetensors has numbers of type I64, expected I8, F16 or F32"#
    );
    assert_eq!(
        broken(&[shaped(Dtype::I8, &[1, 4_097], vec![0; 4_097])]),
        "tensor \"embeddings\" of F/model.safetensors has the shape [1, 4097], \
         expected [rows, dimensions], at most 16777216 rows of at most 4096"
    );
    assert_eq!(
        broken(&[shaped(Dtype::I8, &[3, 2], vec![0; 6])]),
        "tensor \"embeddings\" of F/model.safetensors has 3 rows, \
         expected a row for each of the tokenizer's 4 tokens"
    );
    let nan = f32s(&[0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let weights = |of: &[f32]| Tensor("weights", Dtype::F32, vec![of.len()], f32s(of));
    assert!(broken(&[shaped(Dtype::F32, &[4, 2], nan)]).ends_with("expected finite ones"));
    let infinite = weights(&[0.0, 0.0, f32::INFINITY, 0.0]);
    assert!(broken(&[rows(Dtype::I8), infinite]).ends_with("expected finite ones"));
    assert_eq!(
        broken(&[rows(Dtype::I8), weights(&[1.0])]),
        "tensor \"weights\" of F/model.safetensors has the shape [1], \
         expected [4], one number for each of the tokenizer's tokens"
    );
    let to = [0i32, 1, 4, 0].iter().flat_map(|row| row.to_le_bytes()).collect();
    assert_eq!(
        broken(&[rows(Dtype::I8), Tensor("mapping", Dtype::I32, vec![4], to)]),
        "tensor \"mapping\" of F/model.safetensors has a token of row 4, expected rows from 0 to 3"
    );
}

#[test]
fn files_that_are_missing_cut_off_too_large_or_of_another_kind_are_refused() {
    let folder = folder(&[rows(Dtype::F32)]);
    let path = |name: &str| folder.path().join(name);
    let replaced = |name: &str, with: &[u8]| {
        let before = std::fs::read(path(name)).unwrap();
        std::fs::write(path(name), with).unwrap();
        let message = refused(folder.path());
        std::fs::write(path(name), before).unwrap();
        message
    };
    let whole = std::fs::read(path(TABLE)).unwrap();
    let format = "F/model.safetensors is not a file of tensors in the safetensors format";
    for cut in [0, 7, 40, whole.len() - 1] {
        assert_eq!(replaced(TABLE, &whole[..cut]), format, "{cut}");
    }
    let tokenizer = "F/tokenizer.json is not a tokenizer as the library tokenizers writes it";
    assert_eq!(replaced(TOKENIZER, b"{}"), tokenizer);
    assert_eq!(
        replaced(CONFIG, br#"{"model_type": "bert"}"#),
        r#"F/config.json has model_type "bert", expected "model2vec""#
    );
    assert_eq!(
        replaced(CONFIG, b"[1"),
        "F/config.json is not a configuration of Model2Vec, a JSON object"
    );
    assert_eq!(
        replaced(CONFIG, &vec![b' '; MAX_CONFIG_BYTES as usize + 1]),
        "F/config.json has 1048577 bytes, expected at most 1048576"
    );
    // As long as it says it is, and without a byte on the disk.
    std::fs::File::create(path(TABLE)).unwrap().set_len(MAX_TABLE_BYTES + 1).unwrap();
    assert!(matches!(
        StaticEmbedding::open(folder.path()).unwrap_err(),
        EmbeddingError::TooLarge { bytes, limit: MAX_TABLE_BYTES, .. } if bytes > MAX_TABLE_BYTES
    ));
    std::fs::remove_file(path(TABLE)).unwrap();
    assert_eq!(refused(folder.path()), "F/model.safetensors could not be read");
}

#[test]
fn the_fingerprint_is_that_of_the_content() {
    let of = |tensors: &[Tensor]| open(tensors).unwrap().fingerprint().to_owned();
    assert_eq!(of(&[rows(Dtype::F32)]), of(&[rows(Dtype::F32)]));
    assert_ne!(of(&[rows(Dtype::F32)]), of(&[rows(Dtype::F16)]));
    let folder = folder(&[rows(Dtype::F32)]);
    let embedding = StaticEmbedding::open(folder.path()).unwrap();
    assert_eq!(Some(embedding.name()), folder.path().file_name().and_then(|name| name.to_str()));
}

#[test]
fn the_built_in_one_is_read_once_and_is_a_folder_like_any_other() {
    let builtin = StaticEmbedding::builtin();
    assert!(Arc::ptr_eq(&builtin, &StaticEmbedding::builtin()));
    assert_eq!((builtin.dimensions(), builtin.tokens()), (256, 29_524));
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("model");
    let read = StaticEmbedding::open(&model).unwrap();
    assert_eq!(read.fingerprint(), builtin.fingerprint());
    let text = "the pool of connections is exhausted";
    assert_eq!(read.embed(text), builtin.embed(text));
}

/// Vectors are kept in indices beside what they were made of: they must not move unnoticed.
#[test]
fn the_built_in_one_is_the_one_that_its_readme_tells_of() {
    let fingerprint = "6f2423b2b86d8a042f117be0f2d795142bbed3c60764fe82bb66f66db594b441";
    assert_eq!(StaticEmbedding::builtin().fingerprint(), fingerprint);
    let vector = StaticEmbedding::builtin().embed("payment timeout").unwrap();
    assert!((vector.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>() - 1.0).abs() < 1e-6);
}

#[test]
fn what_means_the_same_is_nearer_than_what_does_not() {
    let builtin = StaticEmbedding::builtin();
    let embed = |text: &str| builtin.embed(text).unwrap();
    for (asked, near, far) in [
        ("the database is slow", "query latency of postgres", "expired tls certificate"),
        ("out of memory", "ram is exhausted", "wrong password"),
        ("rollback the release", "undo the deployment", "disk is full"),
        ("service crashed", "process died", "slow network"),
    ] {
        let [asked, near, far] = [asked, near, far].map(embed);
        let [near, far] = [cosine(&asked, &near), cosine(&asked, &far)];
        assert!(near > far, "{near} {far}");
    }
}

#[test]
fn only_the_beginning_of_a_very_long_text_counts() {
    let builtin = StaticEmbedding::builtin();
    let long = "connection pool exhausted 🦓 ".repeat(40_000);
    assert!(long.len() > 1_000_000);
    let begun = "disk ".repeat(MAX_TOKENS);
    assert_eq!(builtin.embed(&format!("{begun}{long}")), builtin.embed(&begun));
    assert!(builtin.embed(&"a".repeat(1 << 20)).is_none(), "one word of a million letters");
    assert!(builtin.embed(&long).is_some());
}

proptest! {
    #[test]
    fn a_vector_is_of_length_one_and_the_same_each_time(text in "\\PC{0,200}") {
        let builtin = StaticEmbedding::builtin();
        let vector = builtin.embed(&text);
        prop_assert_eq!(&vector, &builtin.embed(&text));
        if let Some(vector) = vector {
            prop_assert_eq!(vector.len(), 256);
            prop_assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn a_file_that_was_damaged_is_refused_or_read_but_never_more(at in 0..400usize, to in any::<u8>()) {
        let mut bytes = bytes_of(&[rows(Dtype::F32)]);
        let at = at % bytes.len();
        bytes[at] = to;
        let path = Path::new("model.safetensors");
        if let Ok(table) = table::Table::read(path, bytes.into(), 4) {
            let vector = table.mean(&[0, 1, 2, 3]);
            prop_assert!(vector.is_none_or(|it| it.iter().all(|number| number.is_finite())));
        }
    }
}
