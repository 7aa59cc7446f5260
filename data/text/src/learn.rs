//! A byte-level BPE vocabulary learnt from a text.

use crate::ffi::{guarded, Bytes, Failure, Sink};
use std::ffi::c_void;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BpeTrainerBuilder, BPE};
use tokenizers::models::TrainerWrapper;
use tokenizers::{AddedToken, Tokenizer};

/// A pair that occurs once teaches nothing.
const COUNT_MIN: u64 = 2;

/// The next piece of the text, valid until the call after it; false: there is none.
type Next = extern "C" fn(*mut c_void, *mut Bytes) -> bool;

struct Pieces {
    context: *mut c_void,
    next: Next,
}

// SAFETY: text.h asks of the callback that any thread may call it; the trainer's threads take turns.
unsafe impl Send for Pieces {}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut piece = Bytes::EMPTY;
        if !(self.next)(self.context, &mut piece) {
            return None;
        }
        // SAFETY: valid until the next call; it is copied here.
        Some(String::from_utf8_lossy(unsafe { piece.slice() }).into_owned())
    }
}

fn learn(vocab: u32, end_of_text: &str, pieces: Pieces) -> Result<String, Failure> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_post_processor(Some(ByteLevel::new(false, false, true)));
    tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
    let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
        .vocab_size(vocab as usize)
        .min_frequency(COUNT_MIN)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from(end_of_text, true)])
        .build()
        .into();
    tokenizer.train(&mut trainer, pieces)?;
    Ok(tokenizer.to_string(true)?)
}

#[no_mangle]
pub unsafe extern "C" fn ws_learn(
    vocab: u32,
    end_of_text: Bytes,
    next: Next,
    context: *mut c_void,
    json: Sink,
    error: Sink,
) -> bool {
    guarded(error, || {
        let learnt = learn(vocab, end_of_text.text()?, Pieces { context, next })?;
        json.bytes(learnt.as_bytes());
        Ok(())
    })
}
