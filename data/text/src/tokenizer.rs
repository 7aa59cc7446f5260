//! A tokenizer.json.

use crate::cuts;
use crate::ffi::{guarded, Bytes, Failure, Sink};
use tokenizers::models::ModelWrapper;

/// Words whose tokens each thread remembers. Most text is of fewer.
const CACHED_WORDS: usize = 1 << 16;

pub struct Tokenizer {
    pub inner: tokenizers::Tokenizer,
    cuts_at_lines: bool,
    vocab: u32,
}

fn open(json: &[u8]) -> Result<Tokenizer, Failure> {
    let mut inner = tokenizers::Tokenizer::from_bytes(json)?;
    // How many tokens a text has is not the tokenizer's to say.
    inner.with_truncation(None)?;
    inner.with_padding(None);
    let mut model = inner.get_model().clone();
    if let ModelWrapper::BPE(bpe) = &model {
        if bpe.dropout.is_some_and(|dropout| dropout > 0.0) {
            return Err("its merges drop out at random".into());
        }
    }
    model.resize_cache(CACHED_WORDS);
    inner.with_model(model);
    let vocab = inner.get_vocab(true).values().max().map_or(0, |id| id + 1);
    Ok(Tokenizer { cuts_at_lines: cuts::at_lines(&inner), inner, vocab })
}

#[no_mangle]
pub unsafe extern "C" fn ws_tokenizer_open(json: Bytes, out: *mut *mut Tokenizer, error: Sink) -> bool {
    guarded(error, || {
        *out = Box::into_raw(Box::new(open(json.slice())?));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ws_tokenizer_close(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

#[no_mangle]
pub unsafe extern "C" fn ws_tokenizer_vocab(tokenizer: *const Tokenizer) -> u32 {
    (*tokenizer).vocab
}

#[no_mangle]
pub unsafe extern "C" fn ws_tokenizer_cuts_at_lines(tokenizer: *const Tokenizer) -> bool {
    (*tokenizer).cuts_at_lines
}

#[no_mangle]
pub unsafe extern "C" fn ws_tokenizer_id(tokenizer: *const Tokenizer, token: Bytes) -> i64 {
    let id = token.text().ok().and_then(|text| (*tokenizer).inner.token_to_id(text));
    id.map_or(-1, i64::from)
}

#[no_mangle]
pub unsafe extern "C" fn ws_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: Bytes,
    ids: Sink,
    error: Sink,
) -> bool {
    guarded(error, || {
        let encoding = (*tokenizer).inner.encode_fast(text.text()?, false)?;
        ids.ids(encoding.get_ids());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ws_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: *const u32,
    count: usize,
    text: Sink,
    error: Sink,
) -> bool {
    guarded(error, || {
        let ids = if count == 0 { &[] } else { std::slice::from_raw_parts(ids, count) };
        text.bytes((*tokenizer).inner.decode(ids, false)?.as_bytes());
        Ok(())
    })
}
