//! Which conversation a request continues: hashes of the beginnings of its prompt, with one of which an
//! earlier request can have ended.
//!
//! Only the texts of a message are hashed, not how they are written. Marks that move from turn to turn
//! (`cache_control`) and the names of the parts of a message are left out. So a turn is recognised in
//! the history of the next one.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::{
    affinity::Kin,
    json::{Member, Members, end_of_value},
};

/// Of longer texts only as much is hashed of the beginning and of the end: pictures are large.
const MOST_HASHED: usize = 16 * 1_024;

/// What a body says of its conversation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conversation<'a> {
    /// The caller's name for it.
    name: Option<&'a [u8]>,
    /// What is before the first turn, in the order in which the provider reads it.
    instructions: [Option<&'a [u8]>; 2],
    turns: Option<&'a [u8]>,
}

impl<'a> Conversation<'a> {
    /// Takes in the next member of the body.
    pub(super) fn member(&mut self, member: &Member<'a>) {
        let value = member.value;
        match member.name {
            // Of OpenAI, and of those with the same API: "requests that share a prefix have the same";
            // and a conversation that is stored there, which its account alone knows.
            b"prompt_cache_key" => self.name = self.name.or_else(|| member.text()),
            b"conversation" => self.name = id(member).or(self.name),
            b"tools" => self.instructions[0] = Some(value),
            b"system" | b"instructions" | b"systemInstruction" | b"system_instruction" => {
                self.instructions[1] = Some(value);
            }
            b"messages" | b"input" | b"contents" => self.turns = Some(value),
            _ => {}
        }
    }

    /// By its name.
    pub(super) fn named(&self, keys: &RandomState) -> Option<Kin> {
        self.name.map(|name| Kin::named(keys, name))
    }

    /// By the beginnings of its prompt that have at least `least` bytes.
    pub(super) fn beginnings(
        &self,
        keys: &RandomState,
        model: Option<&str>,
        least: usize,
    ) -> Option<Kin> {
        let mut prompt = Prompt { hasher: keys.build_hasher(), bytes: 0 };
        prompt.text(model.unwrap_or_default().as_bytes());
        self.instructions.into_iter().flatten().for_each(|value| {
            prompt.value(value);
        });
        let mut kin = Kin::new();
        let mut is_begun = false;
        let mut rest = self.turns?.strip_prefix(b"[")?;
        while let Some(turn) = rest.iter().position(|byte| !is_between(*byte)) {
            rest = rest.get(turn..)?;
            // A list of texts is no conversation but the inputs of embeddings.
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
}

/// `"conv_1"` or `{"id":"conv_1"}`.
fn id<'a>(member: &Member<'a>) -> Option<&'a [u8]> {
    let inner = || Members::of(member.value).find(|member| member.name == b"id")?.text();
    member.text().or_else(inner)
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
    /// Takes in the texts of the value at the front. Returns where it ends; `None` if it breaks off.
    fn value(&mut self, json: &[u8]) -> Option<usize> {
        end_of_value(json, |text| self.text(text.bytes))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::request_body::RequestBody;

    const LEAST: usize = 64;

    fn kin(keys: &RandomState, body: &[u8], model: Option<&str>) -> Option<Kin> {
        RequestBody::read(body).kin(keys, model, LEAST)
    }

    fn read(keys: &RandomState, body: &str) -> Vec<u64> {
        let kin = kin(keys, body.as_bytes(), Some("m"));
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
    fn marks_that_move_with_the_turns_do_not_change_the_hash() {
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
    fn a_short_prompt_and_instructions_alone_make_no_kin() {
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
    fn instructions_tools_and_model_are_part_of_the_hash() {
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
        let of = |model| kin(&keys, chat(&[&text]).as_bytes(), model).and_then(|k| k.whole());
        assert_ne!(of(Some("m")), of(Some("n")));
    }

    #[test]
    fn a_name_takes_precedence_over_the_prompt() {
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
