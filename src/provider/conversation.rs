//! Which conversation a request goes on with: the beginnings of its prompt that an earlier request may
//! have ended with, as hashes.
//!
//! Only what is said is hashed, not how it is written down: the texts in a message, without the marks
//! that move on from turn to turn (`cache_control`) and the words that merely say what is what. So a
//! turn is recognised in the next one, where it is history.

use std::hash::{BuildHasher, Hasher, RandomState};

use memchr::memchr2;

use crate::affinity::Kin;

use super::request_body::{Member, Members};

/// Of longer texts only as much is hashed of the beginning and of the end: pictures are large.
const MOST_HASHED: usize = 16 * 1_024;

/// What a request is kin by: a conversation that is named in its body, or else the beginnings of its
/// prompt that have at least so many bytes.
pub(crate) fn kin(
    keys: &RandomState,
    body: &[u8],
    model: Option<&str>,
    least: usize,
) -> Option<Kin> {
    let mut read = Read::default();
    Members::of(body).for_each(|member| read.member(&member));
    if let Some(name) = read.name {
        return Some(Kin::named(keys, name));
    }
    if body.len() < least {
        return None;
    }
    let mut prompt = Prompt { hasher: keys.build_hasher(), bytes: 0 };
    prompt.text(model.unwrap_or_default().as_bytes());
    read.instructions.into_iter().flatten().for_each(|value| {
        prompt.value(value);
    });
    let mut kin = Kin::new();
    let mut is_begun = false;
    let mut rest = read.turns?.strip_prefix(b"[")?;
    while let Some(turn) = rest.iter().position(|byte| !is_between(*byte)) {
        rest = rest.get(turn..)?;
        // Texts alone are nothing that a conversation is made of, but inputs of embeddings.
        if rest.first() != Some(&b'{') {
            break;
        }
        is_begun = is_begun || !is_instruction(rest);
        let Some(end) = prompt.value(rest) else { break };
        rest = rest.get(end..)?;
        if is_begun && prompt.bytes >= least {
            kin.longer(prompt.hasher.finish());
        }
    }
    kin.whole().map(|_| kin)
}

#[derive(Default)]
struct Read<'a> {
    /// What the caller calls the conversation.
    name: Option<&'a [u8]>,
    /// What stands before the first turn, in the order in which the provider reads it.
    instructions: [Option<&'a [u8]>; 2],
    turns: Option<&'a [u8]>,
}

impl<'a> Read<'a> {
    fn member(&mut self, member: &Member<'a>) {
        let value = member.value;
        match member.name {
            // Of OpenAI, and of those that speak as it does: "requests that share a prefix have the
            // same"; and a conversation that is kept there, which its account alone knows.
            b"prompt_cache_key" => self.name = self.name.or_else(|| quoted(value)),
            b"conversation" => self.name = id(value).or(self.name),
            b"tools" => self.instructions[0] = Some(value),
            b"system" | b"instructions" | b"systemInstruction" | b"system_instruction" => {
                self.instructions[1] = Some(value);
            }
            b"messages" | b"input" | b"contents" => self.turns = Some(value),
            _ => {}
        }
    }
}

/// `"conv_1"` or `{"id":"conv_1"}`.
fn id(value: &[u8]) -> Option<&[u8]> {
    let id = || Members::of(value).find(|member| member.name == b"id").map(|id| id.value);
    quoted(value).or_else(|| quoted(id()?))
}

fn quoted(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"").filter(|text| !text.is_empty())
}

fn is_instruction(turn: &[u8]) -> bool {
    let role = Members::of(turn).find(|member| member.name == b"role");
    role.is_some_and(|role| matches!(role.value, b"\"system\"" | b"\"developer\""))
}

fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']')
}

/// A prompt as far as it has been read.
struct Prompt<H> {
    hasher: H,
    bytes: usize,
}

impl<H: Hasher> Prompt<H> {
    /// Takes in the texts of the value at the front, and says where it ends; `None` if it breaks off.
    fn value(&mut self, json: &[u8]) -> Option<usize> {
        let (mut at, mut depth) = (0, 0_usize);
        loop {
            match json.get(at)? {
                b'"' => {
                    let end = at + string(json.get(at..)?)?;
                    self.text(json.get(at + 1..end - 1)?);
                    at = end;
                }
                b'{' | b'[' => {
                    depth += 1;
                    at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    at += 1;
                }
                // Numbers and words, and what stands between values.
                _ => at += 1,
            }
            if depth == 0 {
                return Some(at);
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        if is_mark(text) {
            return;
        }
        self.bytes += text.len();
        if text.len() <= 2 * MOST_HASHED {
            self.hasher.write(text);
        } else {
            self.hasher.write(text.get(..MOST_HASHED).unwrap_or_default());
            self.hasher.write(text.get(text.len() - MOST_HASHED..).unwrap_or_default());
            self.hasher.write_usize(text.len());
        }
        // No text has this byte.
        self.hasher.write_u8(0xff);
    }
}

/// Words that say what is what, and where the provider is to put a mark in its cache.
fn is_mark(text: &[u8]) -> bool {
    matches!(
        text,
        b"content"
            | b"parts"
            | b"text"
            | b"type"
            | b"cache_control"
            | b"ephemeral"
            | b"ttl"
            | b"5m"
            | b"1h"
            | b"cachePoint"
            | b"default"
    )
}

/// Where the string at the front ends, its quotes included.
fn string(json: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        match json.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: usize = 64;

    fn read(keys: &RandomState, body: &str) -> Vec<u64> {
        let kin = kin(keys, body.as_bytes(), Some("m"), LEAST);
        kin.iter().flat_map(Kin::iter).collect()
    }

    fn chat(turns: &[&str]) -> String {
        let turn = |(place, text): (usize, &&str)| {
            let role = if place % 2 == 0 { "user" } else { "assistant" };
            format!(r#"{{"role":"{role}","content":"{text}"}}"#)
        };
        let turns: Vec<_> = turns.iter().enumerate().map(turn).collect();
        format!(r#"{{"model":"m","messages":[{}],"stream":true}}"#, turns.join(","))
    }

    fn long(word: &str) -> String {
        word.repeat(40)
    }

    #[test]
    fn the_next_turn_begins_with_this_one() {
        let keys = RandomState::new();
        let (first, second, third) = (long("a "), long("b "), long("c "));
        let one = read(&keys, &chat(&[&first]));
        let two = read(&keys, &chat(&[&first, "yes", &second]));
        let three = read(&keys, &chat(&[&first, "yes", &second, "no", &third]));
        assert_eq!((one.len(), two.len(), three.len()), (1, 3, 5));
        assert!(two.contains(&one[0]) && three.contains(&one[0]) && three.contains(&two[0]));
        assert_eq!(three[2..], two, "the longest is not the first");
        let other = read(&keys, &chat(&[&first, "yes!", &second]));
        assert_eq!(other[2..], two[2..]);
        assert_ne!(other[0], two[0]);
        assert_ne!(read(&RandomState::new(), &chat(&[&first])), one, "the hash has no key");
    }

    #[test]
    fn marks_that_move_on_change_nothing() {
        let keys = RandomState::new();
        let text = long("a ");
        let marked = format!(
            r#"{{"system":[{{"type":"text","text":"S","cache_control":{{"type":"ephemeral"}}}}],
                "messages":[{{"role":"user","content":[{{"type":"text","text":"{text}",
                "cache_control":{{"type":"ephemeral","ttl":"1h"}}}}]}}]}}"#
        );
        let plain = format!(
            r#"{{"messages":[{{"role":"user","content":"{text}"}},
                {{"role":"assistant","content":"yes"}}],"system":"S"}}"#
        );
        assert_eq!(read(&keys, &plain)[1..], read(&keys, &marked));
    }

    #[test]
    fn what_is_short_or_only_instructions_makes_no_kin() {
        let keys = RandomState::new();
        assert!(read(&keys, &chat(&["hello"])).is_empty());
        let system = long("s ");
        let only = format!(r#"{{"messages":[{{"role":"system","content":"{system}"}}]}}"#);
        assert!(read(&keys, &only).is_empty());
        let with = |text: &str| {
            format!(
                r#"{{"messages":[{{"role":"developer","content":"{system}"}},
                    {{"role":"user","content":"{text}"}}]}}"#
            )
        };
        let (one, other) = (read(&keys, &with("x")), read(&keys, &with("y")));
        assert_eq!((one.len(), other.len()), (1, 1), "instructions count for the length");
        assert_ne!(one, other);
        for body in ["", "no JSON", "[]", r#"{"messages":"#, r#"{"messages":7}"#] {
            assert!(read(&keys, &format!("{body}{}", " ".repeat(100))).is_empty(), "{body}");
        }
        let texts = format!(r#"{{"input":["{system}","{system}"]}}"#);
        assert!(read(&keys, &texts).is_empty(), "embeddings are no conversation");
    }

    #[test]
    fn all_that_stands_before_the_turns_and_the_model_count() {
        let keys = RandomState::new();
        let text = long("a ");
        let body = |system: &str, tool: &str| {
            format!(
                r#"{{"contents":[{{"parts":[{{"text":"{text}"}}],"role":"user"}}],
                    "systemInstruction":{{"parts":[{{"text":"{system}"}}]}},"tools":["{tool}"]}}"#
            )
        };
        let one = read(&keys, &body("S", "T"));
        assert_eq!(one.len(), 1);
        assert_ne!(one, read(&keys, &body("S2", "T")));
        assert_ne!(one, read(&keys, &body("S", "T2")));
        let of =
            |model| kin(&keys, chat(&[&text]).as_bytes(), model, LEAST).and_then(|k| k.whole());
        assert_ne!(of(Some("m")), of(Some("n")));
    }

    #[test]
    fn a_name_goes_before_what_is_said() {
        let keys = RandomState::new();
        let whole = |body: &str| read(&keys, body);
        let named = whole(r#"{"prompt_cache_key":"c1","messages":[]}"#);
        assert_eq!(named.len(), 1);
        assert_eq!(whole(r#"{"messages":[{"role":"user"}],"conversation":"c1"}"#), named);
        assert_eq!(whole(r#"{"conversation":{"x":1,"id":"c1"},"prompt_cache_key":"k"}"#), named);
        assert_ne!(whole(r#"{"prompt_cache_key":"c2"}"#), named);
        for body in [r#"{"prompt_cache_key":""}"#, r#"{"conversation":null}"#] {
            assert!(whole(body).is_empty(), "{body}");
        }
    }

    #[test]
    fn long_texts_and_long_conversations_are_bounded() {
        let keys = RandomState::new();
        let picture = |middle: char| {
            let (end, middle) = ("x".repeat(MOST_HASHED), String::from(middle).repeat(100_000));
            read(&keys, &chat(&[&format!("{end}{middle}{end}")]))
        };
        assert_eq!(picture('a'), picture('b'), "the middle of a picture was hashed");
        let text = long("a ");
        let turns = vec![text.as_str(); 1_000];
        let (kin, next) = (read(&keys, &chat(&turns[..999])), read(&keys, &chat(&turns)));
        assert_eq!((kin.len(), next.len()), (32, 32));
        assert_eq!(next[1], kin[0]);
        let deep = format!(r#"{{"messages":[{}"#, "{\"a\":[".repeat(100_000));
        assert!(read(&keys, &deep).is_empty());
    }
}
