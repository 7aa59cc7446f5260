//! Whether a text may be cut and its parts encoded by themselves, with the same tokens.
//!
//! A cut is after a line feed that stands between a letter or digit and a letter, all ASCII. No merge crosses it where
//! the pre-tokenizer ends a word there whatever is around: true of byte-level BPE with the expressions below, of each
//! of which it can be read off. Left of the cut `\n` is a word by itself, as nothing but white space takes it after a
//! letter or digit, and it is the whole run; right of it no alternative begins with a `\n` and goes on with a letter.

use serde_json::Value;
use tokenizers::models::ModelWrapper;
use tokenizers::Tokenizer;

const LETTERS_CASELESS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?";

/// GPT-2, Llama 3, Qwen 2, Qwen 3.5 and o200k.
fn is_known(regex: &str) -> bool {
    if regex == r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+" {
        return true;
    }
    if let Some(rest) = regex.strip_prefix(LETTERS_CASELESS) {
        return [
            r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ]
        .contains(&rest);
    }
    regex == concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
}

fn normalizer_is_local(normalizer: &Value) -> bool {
    match normalizer["type"].as_str() {
        None => normalizer.is_null(),
        Some("Sequence") => {
            normalizer["normalizers"].as_array().is_some_and(|all| all.iter().all(normalizer_is_local))
        }
        // Marks join the letter before them, and no line feed is one.
        Some(name) => ["NFC", "NFD", "NFKC", "NFKD"].contains(&name),
    }
}

/// Whether it leaves a line's end and the next line's beginning alone (None), separates them (Some(true)), or may not
/// (Some(false)).
fn separates(pre: &Value) -> Option<bool> {
    match pre["type"].as_str() {
        Some("ByteLevel") if pre["add_prefix_space"] != Value::Bool(false) => Some(false),
        Some("ByteLevel") if pre["use_regex"] == Value::Bool(false) => None,
        Some("ByteLevel") => Some(true),
        Some("Digits") => None,
        Some("Split") => Some(
            pre["pattern"]["Regex"].as_str().is_some_and(is_known)
                && pre["behavior"] == "Isolated"
                && pre["invert"] == Value::Bool(false),
        ),
        Some("Sequence") => {
            let steps = pre["pretokenizers"].as_array()?;
            let all: Vec<bool> = steps.iter().filter_map(separates).collect();
            Some(!all.is_empty() && all.iter().all(|one| *one))
        }
        _ => Some(false),
    }
}

pub fn at_lines(tokenizer: &Tokenizer) -> bool {
    let added = tokenizer.get_added_tokens_decoder();
    if added.values().any(|t| t.lstrip || t.rstrip || t.content.contains('\n')) {
        return false;
    }
    let normalizer = serde_json::to_value(tokenizer.get_normalizer()).unwrap_or(Value::Bool(false));
    let pre_tokenizer = serde_json::to_value(tokenizer.get_pre_tokenizer()).unwrap_or(Value::Bool(false));
    matches!(tokenizer.get_model(), ModelWrapper::BPE(_))
        && normalizer_is_local(&normalizer)
        && separates(&pre_tokenizer) == Some(true)
}
