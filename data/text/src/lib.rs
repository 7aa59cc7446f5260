//! Tokenizers, chat templates and Parquet for C++: what data/text/text.h declares, and nothing that decides anything.

mod chat;
mod cuts;
mod ffi;
mod learn;
mod rows;
mod tokenizer;
