//! A conversation by a chat template, and which of its tokens are the assistant's.
//!
//! An answer is what the template says between {% generation %} and {% endgeneration %}. Of a template without them it
//! is what the conversation up to the answer has more than the conversation before it with the prompt for an answer.

use crate::ffi::{guarded, Bytes, Failure, Sink};
use crate::tokenizer::Tokenizer;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{context, Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use serde_json::Value as Json;
use std::io::{self, Write};
use std::ops::Range;

/// Beside an id: the token is no target.
const NO_TARGET: u32 = 1 << 31;
/// Not characters, and so in no text: where an answer begins and ends.
const BEGIN: char = '\u{FDD0}';
const END: char = '\u{FDD1}';
/// Names of templates that say just these.
const BEGIN_TEMPLATE: &str = "answer begins";
const END_TEMPLATE: &str = "answer ends";
const CHAT_TEMPLATE: &str = "chat template";

pub struct Chat {
    environment: Environment<'static>,
    special_tokens: Json,
    marks_answers: bool,
}

/// Python's json.dumps without an indentation.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let wrong = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let indent = options.get::<Option<usize>>("indent")?;
    let mut out = Vec::new();
    if let Some(columns) = indent {
        let spaces = vec![b' '; columns];
        let pretty = PrettyFormatter::with_indent(&spaces);
        value.serialize(&mut Serializer::with_formatter(&mut out, pretty)).map_err(wrong)?;
    } else {
        value.serialize(&mut Serializer::with_formatter(&mut out, Spaced)).map_err(wrong)?;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// The tags of answers, which are no tags of Jinja, as inclusions of the templates that say the marks. What is around
/// them (dashes, line ends) counts as before.
fn with_marks(template: &str) -> (String, bool) {
    let mut out = String::with_capacity(template.len());
    let mut any = false;
    let mut rest = template;
    while let Some(open) = rest.find("{%") {
        let Some(length) = rest[open..].find("%}") else { break };
        let tag = &rest[open + 2..open + length];
        let name = tag.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        let included = match name {
            "generation" => Some(BEGIN_TEMPLATE),
            "endgeneration" => Some(END_TEMPLATE),
            _ => None,
        };
        out.push_str(&rest[..open]);
        if let Some(included) = included {
            any = true;
            let before = if tag.starts_with(['-', '+']) { &tag[..1] } else { "" };
            let after = if tag.ends_with(['-', '+']) { &tag[tag.len() - 1..] } else { "" };
            out.push_str(&format!("{{%{before} include \"{included}\" {after}%}}"));
        } else {
            out.push_str(&rest[open..open + length + 2]);
        }
        rest = &rest[open + length + 2..];
    }
    out.push_str(rest);
    (out, any)
}

fn open(template: &str, special_tokens: &str) -> Result<Chat, Failure> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", to_json);
    environment.add_function("raise_exception", raise_exception);
    environment.add_template_owned(BEGIN_TEMPLATE, BEGIN.to_string())?;
    environment.add_template_owned(END_TEMPLATE, END.to_string())?;
    let (template, marks_answers) = with_marks(template);
    environment.add_template_owned(CHAT_TEMPLATE, template)?;
    Ok(Chat { environment, special_tokens: serde_json::from_str(special_tokens)?, marks_answers })
}

/// The text, and the answers' bytes in it.
struct Rendered {
    text: String,
    answers: Vec<Range<usize>>,
}

fn take_marks(marked: &str) -> Result<Rendered, Failure> {
    let mut text = String::with_capacity(marked.len());
    let mut answers = Vec::new();
    let mut begun = None;
    for c in marked.chars() {
        if c == BEGIN {
            begun = Some(text.len());
        } else if c == END {
            answers.push(begun.take().ok_or("the chat template ends an answer that did not begin")?..text.len());
        } else {
            text.push(c);
        }
    }
    Ok(Rendered { text, answers })
}

impl Chat {
    fn render(&self, messages: &[Json], tools: &Json, prompt: bool) -> Result<String, Failure> {
        let base = context! {
            messages => Value::from(Serde(messages)),
            tools => Value::from(Serde(tools)),
            documents => Value::from(()),
            add_generation_prompt => prompt,
        };
        let values = context! { ..base, ..Value::from(Serde(&self.special_tokens)) };
        Ok(self.environment.get_template(CHAT_TEMPLATE)?.render(values)?)
    }

    fn by_prefixes(&self, messages: &[Json], tools: &Json) -> Result<Rendered, Failure> {
        let text = self.render(messages, tools, false)?;
        let mut answers = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            if message["role"] != "assistant" {
                continue;
            }
            let before = self.render(&messages[..i], tools, true)?;
            let upto = self.render(&messages[..=i], tools, false)?;
            if !upto.starts_with(&before) || !text.starts_with(&upto) {
                return Err(format!(
                    "message {}: the chat template does not write it after its prompt and leave it so; \
                     it needs {{% generation %}}",
                    i + 1
                )
                .into());
            }
            answers.push(before.len()..upto.len());
        }
        Ok(Rendered { text, answers })
    }

    fn rendered(&self, messages: &[Json], tools: &Json) -> Result<Rendered, Failure> {
        if self.marks_answers {
            take_marks(&self.render(messages, tools, false)?)
        } else {
            self.by_prefixes(messages, tools)
        }
    }
}

fn messages_of(record: &Json) -> Result<&[Json], Failure> {
    let messages = record["messages"].as_array().ok_or("no field \"messages\" with a list")?;
    for (i, message) in messages.iter().enumerate() {
        if !message["role"].is_string() {
            return Err(format!("message {}: no field \"role\" with a text", i + 1).into());
        }
        if message.get("content").is_none() {
            return Err(format!("message {}: no field \"content\"", i + 1).into());
        }
    }
    if !messages.iter().any(|message| message["role"] == "assistant") {
        return Err("no message is the assistant's: nothing to learn".into());
    }
    Ok(messages)
}

fn encode(chat: &Chat, tokenizer: &Tokenizer, record: &str) -> Result<Vec<u32>, Failure> {
    let record: Json = serde_json::from_str(record)?;
    if record.to_string().contains([BEGIN, END]) {
        return Err("has U+FDD0 or U+FDD1, which are no characters".into());
    }
    let Rendered { text, mut answers } = chat.rendered(messages_of(&record)?, &record["tools"])?;
    answers.retain(|answer| !answer.is_empty());
    let encoding = tokenizer.inner.encode(text, false)?;
    let mut marked = Vec::with_capacity(encoding.len());
    let mut next = answers.iter().peekable();
    for (id, (begin, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
        while next.peek().is_some_and(|answer| answer.end <= *begin) {
            next.next();
        }
        let is_target = next.peek().is_some_and(|answer| answer.start < *end && *begin < answer.end);
        marked.push(if is_target { *id } else { *id | NO_TARGET });
    }
    Ok(marked)
}

#[no_mangle]
pub unsafe extern "C" fn ws_chat_open(
    template: Bytes,
    special_tokens: Bytes,
    out: *mut *mut Chat,
    error: Sink,
) -> bool {
    guarded(error, || {
        *out = Box::into_raw(Box::new(open(template.text()?, special_tokens.text()?)?));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ws_chat_close(chat: *mut Chat) {
    if !chat.is_null() {
        drop(Box::from_raw(chat));
    }
}

#[no_mangle]
pub unsafe extern "C" fn ws_chat_encode(
    chat: *const Chat,
    tokenizer: *const Tokenizer,
    record: Bytes,
    ids: Sink,
    error: Sink,
) -> bool {
    guarded(error, || {
        ids.ids(&encode(&*chat, &*tokenizer, record.text()?)?);
        Ok(())
    })
}
